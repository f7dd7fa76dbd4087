use super::*;

/// The example of deploy/LOGS.md.
const TEXT: &str = include_str!("example.toml");

#[test]
fn the_example_is_taken() {
    let config = LogsConfig::parse(TEXT).unwrap();
    let audiences: Vec<&str> = config.audiences.keys().map(AudienceName::as_str).collect();
    assert_eq!(audiences, ["hospital", "maker"]);
    let maker = &config.audiences[&"maker".parse().unwrap()];
    assert!(matches!((&maker.readers, maker.unpinned), (Readers::Keys(keys), false) if keys.len() == 1));
    assert_eq!(maker.to, Destination::Https("https://logs.maker.example/v1".into()));
    assert_eq!((config.spool.max_bytes, config.spool.batch_bytes), (256 << 20, 1 << 20));
    assert_eq!(config.spool.batch_age, Duration::from_secs(60));
    let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["app", "service", "system"]);
    let app = &config.sources[0];
    assert_eq!(app.input, Input::File("/var/log/pump/app.log".into()));
    assert_eq!(app.audiences().map(AudienceName::as_str).collect::<Vec<_>>(), ["maker", "hospital"]);
    assert!(app.rules[1].patient_data && !app.rules[0].patient_data);
    assert!(config.sources[2].rules.iter().all(|rule| rule.keep.len() == 1));
}

#[test]
fn the_shown_example_is_the_one_that_is_tried() {
    let document = include_str!("../../../../deploy/LOGS.md");
    assert!(document.contains(TEXT), "deploy/LOGS.md shows crates/logs/src/config/example.toml");
}

#[test]
fn a_fault_is_named_with_its_line_and_key() {
    let cases = [
        ("[spool]", "[spool", "", "unclosed"),
        ("[pseudonym]", "[surprise]", "", "unknown field"),
        ("batch-age = \"60s\"", "batch-aeg = \"60s\"", "", "unknown field"),
        ("batch-age = \"60s\"", "batch-age = \"never\"", "spool.batch-age", "one second to a day"),
        ("max-bytes = \"256MiB\"", "max-bytes = \"1MiB\"", "spool.max-bytes", "two batches"),
        ("batch-bytes = \"1MiB\"", "batch-bytes = \"5MiB\"", "spool.batch-bytes", "4194304"),
        ("[audience.maker]", "[audience.Maker]", "audience", "a-z"),
        ("https://logs.maker", "http://logs.maker", "audience.to", "TLS"),
        ("readers = [\"age1", "readers = [\"AGE1", "audience.readers", "age-keygen"),
        ("readers = \"authority\"", "readers = \"everybody\"", "audience.readers", "authority"),
        ("patient-data = true", "unpinned = \"allow\"", "audience.unpinned", "https"),
        ("name = \"app\"", "name = \"../app\"", "source.name", "a-z"),
        ("name = \"service\"", "name = \"app\"", "source.name", "twice"),
        ("file = \"/var/log/pump/app.log\"", "file = \"app.log\"", "source.file", "absolute"),
        ("match = \"*.log\"\n", "", "source", "takes one of"),
        ("match = \"*.log\"", "match = \"../*.log\"", "source.match", "name of a file"),
        ("syslog = \"unix:/run/wardein/log\"", "syslog = \"udp:0.0.0.0:514\"", "source.syslog", "loopback"),
        ("encoding = \"utf-8\"", "encoding = \"utf-7\"", "source.encoding", "latin-1"),
        ("start = '^", "start = '(", "source.start", "pattern"),
        ("parse = \"regex\"", "parse = \"regexp\"", "source.parse", "key-value"),
        ("parse = \"json\"", "parse = \"json\"\npattern = 'x'", "source.pattern", "regex"),
        ("(?<code>E\\d+)", "(?<cdoe>E\\d+)", "source.for.keep", "no group (?<code>"),
        ("keep = [\"time\", \"level\", \"code\"]", "keep = [\"time\", \"time\"]", "source.for.keep", "twice"),
        ("keep = [\"line\"]", "keep = [\"text\"]", "source.for.keep", "line"),
        ("mask = [\"text\"]", "mask = [\"txet\"]", "source.for.mask", "not in keep"),
        ("mask = [\"text\"]", "mask = [\"patient\"]", "source.for.pseudonym", "both"),
        ("only = { level", "only = { lvl", "source.for.only", "no group"),
        ("\"ERROR|WARN\"", "\"(\"", "source.for.only", "pattern"),
        (
            "audience = \"hospital\"\nkeep = [\"time\", \"level\", \"code\", \"patient\"",
            "audience = \"maker\"\nkeep = [\"time\", \"level\", \"code\", \"patient\"",
            "source.for.audience",
            "already",
        ),
        (
            "audience = \"hospital\"\nkeep = [\"line\"]",
            "audience = \"clinic\"\nkeep = [\"line\"]",
            "source.for.audience",
            "[audience.clinic]",
        ),
        (
            "[pseudonym]\nkey = \"/etc/wardein-device/pseudonym.key\"\n",
            "",
            "source.for.pseudonym",
            "takes a key",
        ),
    ];
    for (from, to, key, why) in cases {
        assert!(TEXT.contains(from), "{from}");
        let text = TEXT.replacen(from, to, 1);
        let error = LogsConfig::parse(&text).expect_err(to);
        assert_eq!(error.key, key, "{to}: {error}");
        assert!(error.to_string().contains(why), "{to}: {error}");
        let line = error.line.unwrap_or_else(|| panic!("{to}: {error}"));
        let at = 1 + TEXT.split_once(from).unwrap().0.matches('\n').count();
        assert!((at.saturating_sub(25)..=at + 25).contains(&line), "{to}: line {line}, and {at} was changed");
    }
}

#[test]
fn a_collectors_sources_say_whose_they_are_and_who_sends() {
    let top = "[audience.a]\nto = \"/x\"\n[spool]\ndirectory = \"/s\"\n";
    let collector = "[collector]\nlisten = \"[::]:6514\"\ncertificate = \"/c\"\nkey = \"/k\"\n";
    let pin = format!("AB:{}", "cd".repeat(31));
    let sources = format!(
        "[[source]]\nname = \"pump\"\ndevice = \"Infusomat_7\"\nsyslog = \"tls:sha256:{pin}\"\n\
         [[source]]\nname = \"old\"\ndevice = \"ct-2\"\nsyslog = \"tls:::ffff:192.0.2.7\"\n\
         [[source]]\nname = \"export\"\ndevice = \"ct-2\"\ndirectory = \"/srv/ct-2\"\nmatch = \"*.log\"\n"
    );
    let text = format!("{top}{collector}{sources}");
    let config = LogsConfig::parse(&text).unwrap();
    let listen = config.collector.unwrap().listen;
    assert_eq!(listen, "[::]:6514".parse().unwrap());
    let mut digest = [0xcd; 32];
    digest[0] = 0xab;
    let inputs: Vec<_> = config.sources.iter().map(|source| source.input.clone()).collect();
    assert_eq!(inputs[0], Input::SyslogTls(Client::Certificate(Digest(digest))));
    assert_eq!(inputs[1], Input::SyslogTls(Client::Address(IpAddr::from([192, 0, 2, 7]))));
    let devices: Vec<_> = config.sources.iter().filter_map(|source| source.device.as_ref()).collect();
    assert_eq!(
        devices.iter().map(|device| device.as_str()).collect::<Vec<_>>(),
        ["Infusomat_7", "ct-2", "ct-2"]
    );

    for (from, to, key, why) in [
        (collector, "", "collector", "is missing"),
        ("tls:sha256:AB:", "unix:/x", "source.device", "does not go with"),
        ("device = \"Infusomat_7\"\n", "", "source.device", "whose messages"),
        ("Infusomat_7", "../7", "source.device", "letters"),
        ("[::]:6514", "[::]:0", "collector.listen", "ADDRESS:PORT"),
        ("[::]:6514", "localhost:6514", "collector.listen", "ADDRESS:PORT"),
        ("\"/c\"", "\"c\"", "collector.certificate", "absolute"),
        ("\"/k\"", "\"k\"", "collector.key", "absolute"),
        ("key = \"/k\"", "password = \"k\"", "", "unknown field"),
        ("sha256:AB:cd", "sha256:AB:", "source.syslog", "fingerprint"),
        ("tls:::ffff:192.0.2.7", "tls:pump.example", "source.syslog", "ADDRESS"),
        ("tls:::ffff:192.0.2.7", "tls:0.0.0.0", "source.syslog", "one device"),
        ("tls:::ffff:192.0.2.7", "tls:224.0.0.1", "source.syslog", "one device"),
        ("tls:::ffff:192.0.2.7", "tls:", "source.syslog", "ADDRESS"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        // What is behind the name of a socket is a path, too.
        let error = LogsConfig::parse(&changed).expect_err(to);
        assert!(error.key == key && error.why.contains(why), "{from} to {to}: {error}");
    }
    let alone = format!("{top}{collector}[[source]]\nname = \"n\"\nfile = \"/f\"\n");
    assert!(LogsConfig::parse(&alone).unwrap_err().why.contains("goes with a source"));
    let again = format!("{text}[[source]]\nname = \"more\"\ndevice = \"x\"\nsyslog = \"tls:192.0.2.7\"\n");
    assert!(
        LogsConfig::parse(&again).unwrap_err().why.contains("another source"),
        "one client is one device"
    );
}

#[test]
fn a_store_of_objects_has_a_region_and_credentials() {
    let s3 = "[audience.maker.s3]\nregion = \"eu-central-1\"\ncredentials = \"/etc/s3\"\n\n[spool]";
    let text = TEXT.replacen("[spool]", s3, 1);
    let config = LogsConfig::parse(&text).unwrap();
    let to = &config.audiences[&"maker".parse().unwrap()].to;
    let (url, region) = ("https://logs.maker.example/v1".to_owned(), "eu-central-1".to_owned());
    assert_eq!(to, &Destination::S3 { url, region, credentials: "/etc/s3".into() });
    for (from, to, key, why) in [
        ("eu-central-1", "", "audience.s3.region", "eu-central-1"),
        ("eu-central-1", "EU/west", "audience.s3.region", "eu-central-1"),
        ("\"/etc/s3\"", "\"s3\"", "audience.s3.credentials", "absolute"),
        ("credentials = \"/etc/s3\"", "secret = \"x\"", "", "unknown field"),
        ("[audience.maker.s3]", "[audience.hospital.s3]", "audience.s3", "https://"),
    ] {
        let error = LogsConfig::parse(&text.replacen(from, to, 1)).expect_err(to);
        assert!(error.key == key && error.to_string().contains(why), "{to}: {error}");
    }
}

#[test]
fn what_is_not_written_is_safe() {
    let text =
        "[audience.a]\nto = \"/x\"\n[spool]\ndirectory = \"/s\"\n[[source]]\nname = \"n\"\nfile = \"/f\"\n";
    let config = LogsConfig::parse(text).unwrap();
    assert!(config.sources[0].rules.is_empty(), "nothing leaves");
    let audience = &config.audiences[&"a".parse().unwrap()];
    assert_eq!(
        (&audience.readers, audience.unpinned, audience.patient_data),
        (&Readers::OfTheTenant, false, false)
    );
    let rule = format!("{text}[[source.for]]\naudience = \"a\"\n");
    assert!(LogsConfig::parse(&rule).unwrap().sources[0].rules[0].keep.is_empty(), "nothing is kept");
    let again = format!("{text}[[source]]\nname = \"m\"\nfile = \"/f\"\n");
    assert!(LogsConfig::parse(&again).unwrap_err().why.contains("another source"));
}

#[test]
fn a_file_without_bounds_is_refused() {
    assert!(LogsConfig::parse(&"#".repeat(LogsConfig::MAX_LEN + 1)).is_err());
    let many: String = (0..33).map(|n| format!("[[source]]\nname = \"n{n}\"\nfile = \"/f{n}\"\n")).collect();
    assert!(
        LogsConfig::parse(&format!("[spool]\ndirectory = \"/s\"\n{many}"))
            .unwrap_err()
            .why
            .contains("at most 32")
    );
    let deep = format!("a = {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(LogsConfig::parse(&deep).is_err());
}
