//! What the service asks of the system, and what it makes of signals.

use crate::common::{Served, read, wardein};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use wardein_client::v1;

/// The binary, as a shell starts it after `limit`.
fn under(limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_wardein")]);
    command
}

#[tokio::test]
async fn it_raises_its_open_files_keeps_to_small_pages_and_outlives_signals() {
    let mut served = Served::found().await;
    served.kill();
    // As systemd starts a service.
    served.start_by(under("ulimit -Sn 1024"), Stdio::null()).await;
    let process = Path::new("/proc").join(served.id().to_string());
    let limits = read(&process.join("limits"));
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = files.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft >= 8_192 + 1_024, "{files}");
    // An older kernel does not say.
    let status = read(&process.join("status"));
    assert!(status.lines().all(|line| !line.starts_with("THP_enabled") || line.ends_with('0')), "{status}");

    let admin = served.admin().await;
    for signal in ["HUP", "USR1", "USR2"] {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(served.id().to_string()).status();
        assert!(sent.unwrap().success());
        admin.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
        // Those that are there to end it would have by now.
        let status = read(&process.join("status"));
        let state = status.lines().find_map(|line| line.strip_prefix("State:\t")).unwrap();
        assert!(state.starts_with(['S', 'R', 'D']), "{signal}: {state}");
    }
    admin.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
}

#[tokio::test]
async fn its_supervisor_hears_when_it_is_ready_and_when_it_stops() {
    let mut served = Served::found().await;
    served.kill();
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let hears = || {
        let mut said = [0; 256];
        let length = supervisor.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    command.env("NOTIFY_SOCKET", &socket);
    served.start_by(command, Stdio::null()).await;
    assert_eq!(hears(), "READY=1\nSTATUS=serving");
    served.terminate();
    assert_eq!(hears(), "STOPPING=1\nSTATUS=finishing calls");
}

#[tokio::test]
async fn it_does_not_start_without_the_open_files_that_its_limits_need() {
    let mut served = Served::found().await;
    served.kill();
    let config = served.home().join("wardein.toml");
    let refused = under("ulimit -n 1024").args(["serve", "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("LimitNOFILE=9792"), "{said}");
    let fewer = read(&config)
        .replace("connections = 8192", "connections = 100")
        .replace("per_address = 1024", "per_address = 50");
    std::fs::write(&config, fewer).unwrap();
    served.start_by(under("ulimit -n 1800"), Stdio::null()).await;

    let home = served.home();
    let doctor = wardein(&["doctor", "--dir", home.to_str().unwrap()]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.contains("1700 are needed"), "{said}");
}
