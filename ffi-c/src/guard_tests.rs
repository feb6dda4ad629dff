use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::error::Said;

static DROPPED: AtomicU32 = AtomicU32::new(0);

struct State(u32, Option<Said>);

impl Drop for State {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

struct Thing(Exclusive<State>);
exclusive!(Thing, State, |state, said| state.1 = Some(said));

struct Common(u32, AtomicBool);
counted!(Common, u32);

fn bump(thing: *mut Thing) -> regauth_status {
    guard(thing, |state| {
        state.0 += 1;
        Ok(())
    })
}

// One test: it counts drops.
#[test]
fn an_exclusive_object_lets_one_call_in() {
    let thing = give::<Thing>(State(0, None));
    assert_eq!((bump(thing), bump(null_mut())), (REGAUTH_OK, REGAUTH_NULL));

    let from_inside = guard(thing, |_| Err(bump(thing).into()));
    assert_eq!((from_inside, bump(thing)), (REGAUTH_MISUSE, REGAUTH_OK));

    let said = || Said::from(&regauth::Error::new(regauth::ErrorKind::Method));
    assert_eq!(guard(thing, |_| Err(said().into())), REGAUTH_FAILED);
    assert_eq!(guard(thing, |state| state.1.take().map(|_| ()).ok_or(REGAUTH_NONE.into())), REGAUTH_OK);

    assert_eq!(guard(thing, |_| panic!("a defect")), REGAUTH_PANIC);
    assert_eq!((bump(thing), bump(thing)), (REGAUTH_PANIC, REGAUTH_PANIC));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
    free(thing);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    free(null_mut::<Thing>());

    let thing = give::<Thing>(State(0, None));
    let inside = guard(thing, |_| {
        free(thing);
        free(thing);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1, "not while a call is inside");
        Err(bump(thing).into())
    });
    assert_eq!((inside, DROPPED.load(Ordering::Relaxed)), (REGAUTH_MISUSE, 2));

    let thing = give::<Thing>(State(7, None));
    assert!(consume(thing).is_ok_and(|state| state.0 == 7));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 3);
    let thing = give::<Thing>(State(7, None));
    assert_eq!(guard(thing, |_| panic!("a defect")), REGAUTH_PANIC);
    assert_eq!(consume(thing).err(), Some(REGAUTH_PANIC));
    assert_eq!(DROPPED.load(Ordering::Relaxed), 4);
    assert_eq!(consume(null_mut::<Thing>()).err(), Some(REGAUTH_NULL));
}

#[test]
fn a_shared_object_is_counted_and_poisoned() {
    let common = Common::new(5);
    assert_eq!(retain(common), common);
    release(common);
    let seen = guard_shared(common, null_mut(), |value| {
        release(common);
        if *value == 5 { Ok(()) } else { Err(REGAUTH_NONE.into()) }
    });
    assert_eq!(seen, REGAUTH_OK);

    let common = Common::new(5);
    assert_eq!(guard_quick(common, |_| panic!("a defect")), REGAUTH_PANIC);
    assert_eq!(guard_shared(common, null_mut(), |_| Ok(())), REGAUTH_PANIC);
    release(common);
    assert_eq!(guard_quick(null::<Common>(), |_| Ok(())), REGAUTH_NULL);
    assert_eq!(guard_shared(null::<Common>(), null_mut(), |_| Ok(())), REGAUTH_NULL);
    release(null_mut::<Common>());
    assert!(retain(null_mut::<Common>()).is_null());
}
