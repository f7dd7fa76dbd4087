use super::*;
use crate::testing::Cable;
use rustix::termios::LocalModes;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::BufRead;

fn open(cable: &Cable) -> io::Result<Port> {
    Port::open(Kind::Serial(&cable.path), 9600)
}

#[test]
fn a_serial_line_is_raw_at_its_speed_and_answers_nobody_by_itself() {
    let cable = Cable::new();
    let mut master = &cable.master;
    let mut from_station = BufReader::new(cable.master.try_clone().unwrap());
    master.write_all(b"said before the station came\n").unwrap();
    // A cooked line echoes: it has taken this.
    let mut echo = String::new();
    from_station.read_line(&mut echo).unwrap();
    assert_eq!(echo, "said before the station came\r\n");
    let mut port = open(&cable).unwrap();
    let modes = tcgetattr(&port.output.file).unwrap();
    assert!(!modes.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
    assert!(modes.control_modes.contains(ControlModes::CLOCAL | ControlModes::CREAD));
    assert!(!modes.control_modes.intersects(ControlModes::CRTSCTS | ControlModes::HUPCL));
    assert!(!modes.input_modes.intersects(InputModes::IXON | InputModes::IXOFF | InputModes::ICRNL));
    assert_eq!((modes.input_speed(), modes.output_speed()), (9600, 9600));

    // More than a cooked line takes, with what would be a signal or an end of file there.
    let long = [vec![b'x'; 3000], b"\x03\x04\x11\x13\r\n".to_vec()].concat();
    master.write_all(&long).unwrap();
    let mut heard = Vec::new();
    port.input.read_until(b'\n', &mut heard).unwrap();
    assert_eq!(heard, long, "what was there before is dropped, and the rest is as it was sent");
    port.output.write_all(b"answer\n").unwrap();
    let mut answer = String::new();
    from_station.read_line(&mut answer).unwrap();
    assert_eq!(answer, "answer\n", "no echo of what the device sent");
}

#[test]
fn a_serial_line_is_one_programs_alone() {
    let cable = Cable::new();
    let port = open(&cable).unwrap();
    let busy = |error: Option<io::Error>| error.and_then(|error| Errno::from_io_error(&error));
    assert_eq!(busy(open(&cable).err()), Some(Errno::BUSY), "another station, also as root");
    let path = cable.path.clone();
    let stranger = std::thread::spawn(move || {
        // Root opens an exclusive line all the same (tty_ioctl(4)); a thread has its own capabilities.
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::SYS_ADMIN);
        set_capabilities(None, sets).unwrap();
        File::open(path).err()
    });
    assert_eq!(busy(stranger.join().unwrap()), Some(Errno::BUSY), "any other program");
    drop(port);
}

#[test]
fn nobody_is_waited_for_longer_than_the_deadline() {
    let cable = Cable::new();
    let mut port = open(&cable).unwrap();
    port.deadline.set(Some(Duration::from_millis(1)));
    let silent = port.input.read_until(b'\n', &mut Vec::new()).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    port.deadline.set(Some(Duration::from_millis(1)));
    let deaf = port.output.write_all(&vec![b'x'; 1 << 20]).unwrap_err();
    assert_eq!(deaf.kind(), ErrorKind::TimedOut, "the device reads nothing");
}

#[test]
fn what_is_not_a_serial_line_is_not_opened_as_one() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    for (path, kind) in
        [(file.as_path(), ErrorKind::InvalidInput), (Path::new("/dev/null"), ErrorKind::InvalidInput)]
    {
        let error = Port::open(Kind::Serial(path), 9600).err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    let missing = Port::open(Kind::Serial(&place.path().join("none")), 9600).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(Kind::of("-"), Kind::Standard);
    assert_eq!(Kind::of("a,b"), Kind::Pipes("a", "b"));
}
