//! Writes valid inputs for every target into `corpus/`: where fuzzing starts when there is no corpus yet. `cargo run --example seeds`
//! in `crates/cli/fuzz`.

use std::fs;
use std::path::Path;
use wardein_cli::config::Config;

fn main() {
    write("config", "all", Config::default().to_documented_toml().as_bytes());
    write("config", "nothing", b"");
    write("config", "names", b"[network]\nserver_names = [\"a \\\"quoted\\\" name\"]\n");
    write("batch", "plain", b"id,attr.board\npump-1,a\npump-2,b\n");
    write("batch", "all", b"\xef\xbb\xbfid,model,udi,profile,attr.a\r\npump-1,P1,\"(01)09506000134352\",lab,x\r\n");
    write("batch", "bad-lines", b"id\npump-1\npump-1\n\n\xff\n\"a\n");
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}
