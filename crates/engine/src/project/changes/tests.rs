use super::*;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn device(number: u64) -> Changed {
    Changed::Device(format!("pump-{number}").parse().unwrap())
}

fn note(changes: &Changes, revision: u64) {
    changes.note(revision, vec![(tenant("klinik"), device(revision))]);
}

fn place(revision: u64) -> Cursor {
    Cursor { revision, turned: 0 }
}

fn read(changes: &Changes, after: u64, limit: usize) -> (Vec<Changed>, u64, bool) {
    match changes.read(&tenant("klinik"), place(after), limit, 0) {
        Read::Behind(floor) | Read::Late(floor) => panic!("it begins at {floor:?}"),
        Read::Since { changed, up_to, is_all, .. } => (changed, up_to.revision, is_all),
    }
}

fn is_behind(changes: &Changes, after: u64, floor: u64) -> bool {
    let read = changes.read(&tenant("klinik"), place(after), 1, 0);
    matches!(read, Read::Behind(Cursor { revision, .. }) if revision == floor)
}

#[test]
fn a_reader_has_what_came_after_its_revision_and_no_commit_in_part() {
    let changes = Changes::default();
    changes.note(5, Vec::new());
    let (_held, at) = changes.subscribe(&tenant("klinik")).unwrap();
    assert_eq!(at, place(5));
    changes.note(6, (0..3).map(|number| (tenant("klinik"), device(number))).collect());
    note(&changes, 8);
    changes.note(9, vec![(tenant("lab"), device(9)), (tenant("klinik"), Changed::Operator)]);
    assert_eq!(read(&changes, 5, 9), ([0, 1, 2, 8].map(device).to_vec(), 9, true));
    assert_eq!(read(&changes, 5, 1), ([0, 1, 2].map(device).to_vec(), 6, false));
    assert_eq!(read(&changes, 6, 1), (vec![device(8)], 9, true));
    assert_eq!(read(&changes, 9, 1), (vec![], 9, true));
    note(&changes, 8);
    assert_eq!(read(&changes, 9, 1), (vec![], 9, true), "one that comes again changes nothing");
    assert!(is_behind(&changes, 4, 5));
}

#[test]
fn a_device_is_to_be_looked_at_when_its_time_has_come_and_once_by_each() {
    let (changes, of) = (Changes::default(), tenant("klinik"));
    let (_held, from) = changes.subscribe(&of).unwrap();
    let id = |number: u64| -> DeviceId { format!("pump-{number}").parse().unwrap() };
    changes.expect(&of, [30, 10, 20, 20].map(|at| (at, id(at))).to_vec());
    changes.expect(&tenant("lab"), vec![(1, id(1))]);
    let read = |after, limit, now| match changes.read(&of, after, limit, now) {
        Read::Since { changed, up_to, is_all, .. } => (changed, up_to, is_all),
        Read::Behind(_) | Read::Late(_) => panic!("it has lost some"),
    };
    assert_eq!(read(from, 9, 9), (vec![], from, true));
    let (changed, first, is_all) = read(from, 1, 20);
    assert_eq!((changed, is_all), (vec![device(10)], false));
    assert_eq!(read(first, 9, 20).0, [device(20)]);
    let (changed, all, is_all) = read(from, 9, 30);
    assert_eq!((changed, is_all), ([10, 20, 30].map(device).to_vec(), true));
    assert_eq!(read(all, 9, 99), (vec![], all, true));
    // As many at once as the ring keeps, and one more.
    let many = |count| (0..count).map(|number| (100, id(number))).collect();
    changes.expect(&of, many(KEPT as u64));
    assert_eq!(read(all, usize::MAX, 100).0.len(), KEPT);
    changes.expect(&of, many(KEPT as u64 + 1));
    let Read::Late(now) = changes.read(&of, all, 1, 100) else { panic!("it has all of them") };
    assert_eq!(read(now, 1, 100), (vec![], now, true), "who has looked at all has seen these");
    assert_eq!(changes.0.lock().rings[&of].expected, 0);
    changes.expect(&of, vec![(200, id(7))]);
    assert!(matches!(changes.read(&of, now, 1, 99), Read::Late(_)), "the clock was set back");
}

#[test]
fn the_oldest_give_way_and_who_needs_them_is_behind() {
    let changes = Changes::default();
    let (_held, _) = changes.subscribe(&tenant("klinik")).unwrap();
    (1..=KEPT as u64 + 3).for_each(|revision| note(&changes, revision));
    assert!(is_behind(&changes, 2, 3));
    assert_eq!(read(&changes, 3, 1), (vec![device(4)], 4, false));
    assert_eq!(changes.0.lock().rings[&tenant("klinik")].entries.len(), KEPT);
}

#[test]
fn nothing_is_kept_for_nobody() {
    let changes = Changes::default();
    let one = changes.subscribe(&tenant("klinik")).unwrap();
    let two = changes.subscribe(&tenant("klinik")).unwrap();
    note(&changes, 1);
    drop(one);
    assert_eq!(changes.0.lock().rings.len(), 1);
    drop(two);
    assert!(changes.0.lock().rings.is_empty());
    note(&changes, 2);
    assert!(is_behind(&changes, 2, 2));
}

#[tokio::test]
async fn a_change_wakes_who_waits_for_its_tenant() {
    let changes = Changes::default();
    let (mut held, _) = changes.subscribe(&tenant("klinik")).unwrap();
    held.look();
    note(&changes, 1);
    held.woken().await;
    held.look();
    changes.note(2, vec![(tenant("klinik"), Changed::Operator)]);
    held.woken().await;
}
