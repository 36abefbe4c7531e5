//! Which thread may record the end of a task, and that each end is recorded once.
#![cfg(not(loom))]

use std::sync::Arc;
use std::time::Duration;

use raddle_core::internal::{RecorderInternals, WorkerInternals};
use raddle_core::{
    Capability, Clock, Completion, Counts, Health, Outcome, RecordError, Reservation, Roster,
    Tracking, Worker, WorkerId, WorkerSpec,
};

const MS: Duration = Duration::from_millis(1);

fn roster(workers: usize) -> Roster {
    Roster::builder().workers(workers, WorkerSpec::general()).build().unwrap()
}

fn worker(roster: &Roster, position: usize) -> &Arc<Worker> {
    &roster.members()[position].worker
}

fn ended(outcome: Outcome, service: u64) -> Completion {
    Completion { service, ..Completion::new(outcome) }
}

#[test]
fn there_is_one_recorder_at_a_time_and_no_other_thread_records() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let id = worker.id();
    let mut recorder = worker.recorder().unwrap();
    assert!(worker.recorder().is_none());

    assert_eq!(Reservation::take(worker, 0, None).unwrap().detach(), id);
    let end = ended(Outcome::Completed, 7);
    let error = roster.record(id, &end).unwrap_err();
    assert_eq!(error, RecordError::HasRecorder(id));
    assert_eq!(
        error.to_string(),
        "worker #0 is recorded by its own thread; record only the workers you run yourself"
    );
    assert_eq!(worker.stats().in_flight(), 1, "a refused record ends nothing");
    recorder.end(&end);
    assert_eq!(worker.stats().in_flight(), 0);

    drop(recorder);
    let again = worker.recorder();
    assert!(again.is_some(), "dropping it returned the right");
    drop(again);
    let _ = Reservation::take(worker, 0, None).unwrap().detach();
    roster.record(id, &end).unwrap();
    assert_eq!(worker.stats().counts(), Counts { admitted: 2, completed: 2, ..Counts::default() });
    assert_eq!(worker.stats().latencies().sum_and_count(), (14, 2));
}

#[test]
fn recording_twice_is_refused_and_changes_nothing() {
    let roster = roster(2);
    let worker = worker(&roster, 1);
    let id = Reservation::take(worker, 1, None).unwrap().detach();
    roster.record(id, &ended(Outcome::Completed, 100)).unwrap();
    let before = worker.stats().counts();
    for _ in 0..3 {
        let error = roster.record(id, &ended(Outcome::Failed, 900)).unwrap_err();
        assert_eq!(error, RecordError::NothingInFlight(id));
        assert_eq!(
            error.to_string(),
            "worker #1 has no detached task in flight; each is recorded once"
        );
        assert_eq!(worker.stats().in_flight(), 0);
    }
    assert_eq!(worker.stats().counts(), before);
    assert_eq!(worker.stats().latencies().sum_and_count(), (100, 1));
    assert_eq!(worker.stats().success_rate(), 1.0);

    let reserved = Reservation::take(worker, 1, None).unwrap();
    assert_eq!(worker.stats().in_flight(), 1, "the refusals changed no count");
    drop(reserved);

    let error = roster.record(WorkerId(9), &ended(Outcome::Completed, 1)).unwrap_err();
    assert_eq!(error.to_string(), "worker #9 is not in the roster");
}

#[test]
fn each_outcome_is_counted_and_only_tasks_that_ran_are_timed() {
    let roster = roster(1);
    let stats = worker(&roster, 0).stats();
    for (outcome, times) in Outcome::ALL.into_iter().zip([5, 4, 3, 2, 1]) {
        for _ in 0..times {
            Reservation::take(worker(&roster, 0), 0, None).unwrap().finish(outcome, MS);
        }
    }
    let expected =
        Counts { admitted: 15, completed: 5, failed: 4, panicked: 3, expired: 2, cancelled: 1 };
    assert_eq!(stats.counts(), expected);
    assert!(stats.counts().is_balanced());
    assert_eq!(stats.busy_time(), 12 * MS);
    assert_eq!(stats.latencies().sum_and_count().1, 12);
    assert_eq!(stats.service().snapshot().count(), 12);
    assert_eq!(stats.wait().snapshot().count(), 15, "every task waited");
}

#[test]
fn statistics_survive_changes_of_the_roster() {
    let roster = roster(3);
    let id = worker(&roster, 1).id();
    Reservation::take(worker(&roster, 1), 1, None).unwrap().finish(Outcome::Completed, 3 * MS);
    let reserved = Reservation::take(worker(&roster, 1), 1, None).unwrap();
    let later = Reservation::take(worker(&roster, 1), 1, None).unwrap().detach();

    let changed = roster
        .with_workers(&[WorkerSpec::new("late")])
        .and_then(|roster| roster.with_health(id, Health::Draining))
        .and_then(|roster| roster.without_worker(WorkerId(0)))
        .unwrap();
    let same = changed.worker(id).unwrap();
    assert!(Arc::ptr_eq(same, worker(&roster, 1)));
    assert_eq!(changed.members()[0].worker.id(), id, "it moved to the front");
    assert_eq!((same.stats().in_flight(), same.stats().counts().admitted), (2, 3));
    assert_eq!(same.stats().latencies().mean(), Some(3_000_000));

    changed.record(later, &ended(Outcome::Completed, 5_000_000)).unwrap();
    reserved.finish(Outcome::Failed, MS);
    let counts = Counts { admitted: 3, completed: 2, failed: 1, ..Counts::default() };
    assert_eq!((same.stats().in_flight(), same.stats().counts()), (0, counts));

    let without = changed.without_worker(id).unwrap();
    let error = without.record(id, &ended(Outcome::Completed, 1)).unwrap_err();
    assert_eq!(error, RecordError::UnknownWorker(id));
    assert_eq!(without.baseline().mean(), roster.baseline().mean());
}

#[test]
fn every_latency_is_reported_within_one_percent() {
    // Latencies from 1 << 35, 34 s, share a bucket.
    for latency in (0..1_500).chain((11..35).flat_map(|bit| [(1 << bit) - 1, 1 << bit])) {
        let roster = roster(1);
        for service in [latency, 1 << 40] {
            let reservation = Reservation::take(worker(&roster, 0), 0, None).unwrap();
            reservation.finish(Outcome::Completed, Duration::from_nanos(service));
        }
        let snapshot = worker(&roster, 0).stats().service().snapshot();
        let found = snapshot.quantile(0.5).unwrap().as_nanos() as u64;
        let off = found.abs_diff(latency) as f64;
        assert!(off <= 0.01 * latency as f64, "{found} for {latency}");
        assert_eq!(
            snapshot.quantile(1.0),
            Some(Duration::from_nanos(1 << 40)),
            "the maximum is exact"
        );
    }
}

#[test]
fn an_owned_reservation_outlives_its_roster() {
    let roster = roster(1);
    let kept = Arc::clone(worker(&roster, 0));
    let reservation = Reservation::take(&roster.members()[0].worker, 0, None).unwrap().into_owned();
    drop(roster);
    assert_eq!(kept.stats().in_flight(), 1);
    std::thread::spawn(move || drop(reservation)).join().unwrap();
    assert_eq!(kept.stats().in_flight(), 0);
    assert_eq!(kept.stats().counts(), Counts::default(), "a released task was never admitted");
}

#[test]
fn a_closed_worker_accepts_nothing_and_ends_its_tasks() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let reserved = Reservation::take(worker, 0, None).unwrap();
    worker.close();
    assert!(worker.stats().is_closed());
    assert!((0..1000).all(|_| Reservation::take(worker, 0, None).is_none()));
    assert_eq!((worker.stats().in_flight(), worker.stats().counts().admitted), (1, 1));
    reserved.finish(Outcome::Completed, MS);
    assert_eq!(worker.stats().in_flight(), 0);
    assert!(worker.stats().counts().is_balanced());
}

#[test]
fn stalled_time_counts_from_the_last_progress_and_is_never_negative() {
    let (clock, time) = Clock::simulated();
    let roster = Roster::builder().workers(1, WorkerSpec::general()).clock(clock).build().unwrap();
    let (worker, clock) = (worker(&roster, 0), roster.clock());
    let take = || Reservation::take_at(worker, 0, None, clock.now()).unwrap();
    time.set(1_000);
    assert_eq!(worker.stats().stalled_for(clock.now()), 0);
    let first = take();
    time.set(1_400);
    let second = take();
    assert_eq!(worker.stats().stalled_for(clock.now()), 400, "since the oldest task, not the last");
    time.set(2_000);
    first.finish(Outcome::Completed, Duration::from_nanos(1_000));
    assert_eq!(worker.stats().stalled_for(clock.now()), 0, "an end is progress");
    time.set(1_500);
    assert_eq!(worker.stats().stalled_for(clock.now()), 0, "the clock went back");
    time.set(9_000);
    assert_eq!(worker.stats().stalled_for(clock.now()), 7_000);
    drop(second);
    assert_eq!(worker.stats().stalled_for(clock.now()), 0, "nothing is in flight");
}

#[test]
fn a_worker_with_deferred_publication_still_shows_progress() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let signals = || roster.candidates(None).signals().next().unwrap();
    let reserved = Reservation::take(worker, 0, None).unwrap();
    let mut recorder = worker.recorder().unwrap();
    recorder.publish_within(Duration::from_nanos(1_000));
    // Each task starts when the one before has ended.
    for (start, end) in [(10_000, 50_000), (50_000, 90_000), (90_000, 90_400), (90_400, 91_300)] {
        let _ = Reservation::take(worker, 0, None).unwrap().detach();
        recorder.start(start);
        let age = signals().stalled_for(end);
        assert!(
            (end - start..end - start + 1_000).contains(&age),
            "{age} ns from {start} to {end}"
        );
        assert_eq!((worker.stats().stalled_for(end), worker.stats().in_flight()), (age, 2));
        recorder.end(&Completion { at: end, ..ended(Outcome::Completed, end - start) });
        let pending = u64::from(end == 90_400);
        assert_eq!((signals().in_flight(), worker.stats().in_flight()), (1 + pending, 1));
    }
    drop(reserved);
    recorder.mark_idle(91_000);
    assert_eq!((signals().in_flight(), signals().stalled_for(99_000)), (0, 0));
}

#[test]
fn pending_ends_are_published_before_anyone_relies_on_them() {
    type Then = fn(&Arc<Worker>, raddle_core::SerialRecorder);
    let ways: [Then; 5] = [
        |_, mut recorder| recorder.publish(),
        |_, mut recorder| recorder.mark_idle(10_500),
        |_, mut recorder| assert!(recorder.try_park(0), "pending ends do not prevent parking"),
        |_, recorder| drop(recorder),
        |worker, recorder| {
            // A thread that replaces one that hangs.
            let next = worker.replace_recorder();
            recorder.disown();
            std::mem::forget(next);
        },
    ];
    for then in ways {
        let roster = roster(1);
        let worker = worker(&roster, 0);
        let selectable = || roster.candidates(None).signals().next().unwrap().in_flight();
        let mut recorder = worker.recorder().unwrap();
        recorder.publish_within(Duration::from_nanos(1_000));
        for at in [10_000, 10_200, 10_400] {
            let _ = Reservation::take(worker, 0, None).unwrap().hand_over();
            recorder.end(&Completion { at, ..ended(Outcome::Completed, 100) });
        }
        assert_eq!((selectable(), worker.stats().in_flight()), (2, 0));
        then(worker, recorder);
        assert_eq!((selectable(), worker.stats().in_flight()), (0, 0));
        assert_eq!(worker.stats().counts().completed, 3);
    }
}

/// Recording by id without detaching must not hide the next task.
#[test]
fn a_record_by_id_does_not_end_a_reserved_task() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let reserved = Reservation::take(worker, 0, None).unwrap();
    let recorded = roster.record(worker.id(), &ended(Outcome::Completed, 1));
    drop(reserved);
    let next = Reservation::take(worker, 0, None).unwrap();
    assert_eq!(
        worker.stats().in_flight(),
        1,
        "the next task is counted; record returned {recorded:?}"
    );
    drop(next);
    assert!(worker.stats().counts().is_balanced());
}

/// The [peak latency](raddle_core::WorkerStats::peak_latency) at `now`.
fn peak(roster: &Roster, now: u64) -> Option<u64> {
    worker(roster, 0).stats().peak_latency(now)
}

#[test]
fn ends_enter_the_peak_latency_at_their_own_time() {
    const SECOND: u64 = 1_000_000_000;
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let mut recorder = worker.recorder().unwrap();
    let mut end = |end: Completion| {
        assert!(!Reservation::take(worker, 0, None).unwrap().hand_over());
        recorder.end(&end);
    };
    end(ended(Outcome::Completed, 3_000));
    assert_eq!(peak(&roster, SECOND), None, "the time of the end is unknown");
    end(Completion { at: SECOND, ..ended(Outcome::Completed, 2_000) });
    end(Completion { at: SECOND, ..ended(Outcome::Expired, 9_000) });
    assert_eq!(peak(&roster, SECOND), Some(2_000), "an expired task did not run");
    end(Completion { at: SECOND, ..ended(Outcome::Panicked, 1) });
    let mean = roster.baseline().mean().unwrap();
    assert_eq!(peak(&roster, SECOND), Some((10.0 * mean) as u64), "as in the latency ring");
    assert_eq!(worker.stats().latencies().quantile(1.0), peak(&roster, SECOND));
}

#[test]
fn the_clock_is_read_for_an_end_if_selections_note_the_time() {
    let (clock, time) = Clock::simulated();
    let tracking = Tracking { peak_decay: Duration::from_secs(60), ..Tracking::default() };
    let builder = Roster::builder().workers(1, WorkerSpec::general());
    let roster = builder.tracking(tracking).clock(clock).build().unwrap();
    let worker = worker(&roster, 0);
    Reservation::take(worker, 0, None).unwrap().finish(Outcome::Completed, MS);
    assert_eq!(peak(&roster, 1), None, "no selection notes the time");
    time.set(1 << 40);
    Reservation::take_at(worker, 0, None, 1 << 40).unwrap().finish(Outcome::Completed, MS);
    assert_eq!(peak(&roster, 1 << 40), Some(1_000_000));
    // An end with a time uses that time: a half-life ago.
    let ago = (1 << 40) - 41_588_830_834;
    let id = Reservation::take(worker, 0, None).unwrap().detach();
    worker.record(&Completion { at: ago, ..ended(Outcome::Completed, 8_000_000) }).unwrap();
    assert_eq!(worker.id(), id);
    assert!(peak(&roster, 1 << 40).unwrap().abs_diff(4_000_000) < 4_000);
    // An end without a time happens now.
    Reservation::take(worker, 0, None).unwrap().detach();
    worker.record(&ended(Outcome::Completed, 9_000_000)).unwrap();
    assert_eq!(peak(&roster, 1 << 40), Some(9_000_000));
}

#[test]
fn settled_counts_contain_only_ended_tasks() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let take = || Reservation::take(worker, 0, None).unwrap();
    take().finish(Outcome::Completed, MS);
    take().finish(Outcome::Expired, MS);
    let _in_flight = take();
    let counts = worker.stats().counts();
    let settled = counts.settled();
    assert_eq!((counts.admitted, counts.is_balanced()), (3, false));
    assert_eq!((settled.admitted, settled.is_balanced()), (2, true));
    assert_eq!((settled.completed, settled.expired), (1, 1));
}

#[test]
fn the_running_task_counts_by_what_remains_of_it() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    let mut recorder = worker.recorder().unwrap();
    let ahead = |now| roster.candidates(None).signals_at(0).unwrap().work_ahead(now, None);
    let durations = [30, 50, 20];
    for expected_duration in durations {
        assert!(
            !Reservation::take(worker, 0, None).unwrap().expecting(expected_duration).hand_over()
        );
    }
    recorder.start(1);
    assert_eq!(ahead(11), 100, "not noted as running: no longer than the average of the three");
    recorder.set_running(durations[0]);
    assert_eq!((ahead(1), ahead(11), ahead(41)), (100, 90, 80), "the overrun is added");
    recorder.end(&Completion {
        at: 41,
        expected_duration: durations[0],
        ..Completion::new(Outcome::Completed)
    });
    assert_eq!(ahead(41), 70);
    recorder.start(41);
    recorder.set_running(0);
    assert_eq!(ahead(51), 70, "0 notes no duration");
    recorder.set_running(durations[1]);
    assert_eq!(ahead(51), 60);
    recorder.withdraw_running();
    worker.withdraw();
    assert_eq!((ahead(41), worker.stats().work_in_flight()), (20, 20));
    recorder.withdraw_running();
    assert_eq!(worker.stats().work_in_flight(), 20, "only once");
}

#[test]
fn work_ahead_sums_expected_durations_and_is_highest_when_closed() {
    let roster = roster(1);
    let ahead = || roster.candidates(None).signals_at(0).unwrap().work_ahead(1, Some(100));
    assert_eq!(ahead(), 0);
    let take = || Reservation::take(worker(&roster, 0), 0, None).unwrap();
    let _reserved = [take().expecting(7), take().expecting(50)];
    assert_eq!(ahead(), 57);
    worker(&roster, 0).close();
    assert_eq!(ahead(), u64::MAX);
}

#[test]
fn without_tracking_there_is_no_peak_latency() {
    let tracking = Tracking { enabled: false, ..Tracking::default() };
    let builder = Roster::builder().workers(1, WorkerSpec::general());
    let roster = builder.tracking(tracking).build().unwrap();
    Reservation::take_at(worker(&roster, 0), 0, None, 1).unwrap().finish(Outcome::Failed, MS);
    assert_eq!(peak(&roster, 1), None);
}

#[test]
fn a_history_is_published_with_the_ends_that_changed_it() {
    let roster = roster(3);
    let capability = Some(Capability::intern("recording-history").unwrap());
    let published = || roster.candidates(capability).signals_at(2).unwrap().history();
    let exact = || worker(&roster, 2).stats().history(capability) as f32;
    let before = published();
    assert_eq!(before, exact());
    let mut recorder = worker(&roster, 2).recorder().unwrap();
    recorder.publish_within(Duration::from_secs(1));
    let end = |at, capability| Completion { at, capability, ..Completion::new(Outcome::Failed) };
    for at in [1_000_000_000, 1_300_000_000, 1_600_000_000] {
        let _ = Reservation::take(worker(&roster, 2), 2, capability).unwrap().hand_over();
        recorder.end(&end(at, capability));
    }
    assert!(exact() < published() && published() < before, "only the first end was published");
    recorder.publish();
    assert_eq!(published(), exact());
    let last = published();
    let _ = Reservation::take(worker(&roster, 2), 2, None).unwrap().hand_over();
    recorder.end(&end(9_000_000_000, None));
    assert_eq!((published(), exact()), (last, last), "the end named no capability");
}

#[test]
fn a_worker_counts_the_restarts_of_its_actor() {
    let roster = roster(1);
    let worker = worker(&roster, 0);
    assert_eq!(worker.generation(), 0);
    for generation in 1..4 {
        assert_eq!((worker.next_generation(), worker.generation()), (generation, generation));
    }
}

#[test]
fn a_generalist_that_names_a_capability_is_still_one() {
    let specs = [
        WorkerSpec::general().capability("recording-named"),
        WorkerSpec::new("special").capability("recording-named"),
        WorkerSpec::new("both").capability("recording-named").and_general(),
    ];
    let roster = Roster::builder().build().unwrap().with_workers(&specs).unwrap();
    let other = Capability::intern("recording-other").unwrap();
    let serving = roster.candidates(Some(other));
    let names: Vec<_> = serving.iter().map(|worker| worker.name().to_owned()).collect();
    assert_eq!(names, ["general", "both"]);
}
