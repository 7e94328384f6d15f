use std::collections::BTreeSet;

use super::*;

#[test]
fn what_was_synced_survives_every_power_cut_and_the_rest_some() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new();
        let file = disk.create("a").unwrap();
        file.write_all_at(&[1; 1000], 0).unwrap();
        file.sync().unwrap();
        Disk::sync(&disk).unwrap();
        file.write_all_at(&[2; 2000], 1000).unwrap();
        disk.create("b").unwrap();
        disk.power_cut(seed);
        let left = disk.contents("a").unwrap();
        assert!(left.len() >= 1000, "seed {seed}");
        assert!(left[..1000].iter().all(|byte| *byte == 1), "seed {seed}");
        assert!(left[1000..].iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
        seen.insert((left.len(), left.iter().filter(|b| **b == 2).count(), disk.contents("b").is_some()));
    }
    assert!(seen.len() > 50, "{} different outcomes", seen.len());
}

#[test]
fn a_process_that_crashes_leaves_half_of_what_it_was_writing() {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    disk.fail_call(1, DiskFault::Crash);
    file.write_all_at(b"whole", 0).unwrap();
    assert!(file.write_all_at(b"torn", 5).is_err());
    assert!(file.size().is_err() && disk.list().is_err() && disk.has_failed());
    disk.restart();
    assert_eq!(disk.contents("a").unwrap(), b"wholeto");
}

#[test]
fn what_a_failed_sync_lost_is_not_durable_after_a_later_one() {
    let lost = (0..50).any(|seed| {
        let disk = SimDisk::new();
        let file = disk.create("a").unwrap();
        Disk::sync(&disk).unwrap();
        file.write_all_at(b"data", 0).unwrap();
        disk.fail_call(0, DiskFault::Error(ErrorKind::Other));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(disk.contents("a").unwrap(), b"data", "the page cache has it");
        disk.power_cut(seed);
        disk.contents("a").unwrap() != b"data"
    });
    assert!(lost);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = SimDisk::new();
    let file = disk.create("a").unwrap();
    disk.set_room(Some(3));
    assert_eq!(file.write_all_at(b"data", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.contents("a").unwrap(), b"dat");
    file.truncate(0).unwrap();
    disk.set_room(None);
    file.write_all_at(b"data", 0).unwrap();
}

#[test]
fn a_lock_ends_with_what_holds_it() {
    let disk = SimDisk::new();
    let held = disk.try_lock().unwrap().expect("nobody has it");
    assert!(disk.try_lock().unwrap().is_none() && disk.is_locked());
    let file = disk.create("a").unwrap();
    let other = disk.open("a").unwrap();
    assert_eq!((file.try_lock().unwrap(), other.try_lock().unwrap()), (true, false));
    drop((other, held));
    assert!(!disk.open("a").unwrap().try_lock().unwrap(), "the first handle still has it");
    drop(file);
    assert!(disk.open("a").unwrap().try_lock().unwrap() && !disk.is_locked());
}

#[test]
fn a_directory_in_it_is_apart_until_its_files_are_moved() {
    let disk = SimDisk::new();
    disk.create_directory("new").unwrap().create("rest").unwrap();
    let inside = disk.create_directory("new").unwrap();
    inside.create("file").unwrap();
    inside.create("other").unwrap();
    inside.remove("other").unwrap();
    assert_eq!((disk.list().unwrap(), inside.list().unwrap()), (vec![], vec!["file".to_owned()]));
    disk.empty_directory("new").unwrap();
    disk.power_cut(1);
    assert_eq!(disk.names(), ["file"]);
    assert_eq!(inside.open("file").unwrap_err().kind(), ErrorKind::NotFound);
}
