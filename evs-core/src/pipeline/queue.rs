//! Queues for several workers. Each worker gets its own items in the order in which they were sent.
//!
//! A sender that has filled all queues is woken only when one of them is nearly empty, and a worker only when it is
//! waiting. This saves time: waking a thread for each chunk of a log takes a tenth of the time that reading the log
//! takes.
//!
//! With a queue length of 4 and a low-water mark of 1, a sender that is faster than its workers fills all queues,
//! sleeps, and is woken when one of them has one item left. It then sends several items before it sleeps again, and
//! the worker has work meanwhile.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use crate::turns::Turns;

/// The number of items at which [`Sender::send`] regards a queue as full. It determines how far a worker can exceed
/// its row limit, which [`Statistic::rows_max`](crate::Statistic::rows_max) documents for users.
const LEN_MAX: usize = 4;
/// The low-water mark: a blocked sender wakes when a queue has drained to this length.
const LEN_LOW: usize = 1;

/// Makes the queues of the given number of workers.
pub(super) fn queues<T>(workers: usize, turns: &Turns) -> (Sender<T>, Vec<Receiver<T>>) {
    let queues = (0..workers).map(|_| Queue { items: VecDeque::new(), waits: false, is_gone: false });
    let state = State { queues: queues.collect(), sender_waits: false, is_closed: false };
    let has_work = (0..workers).map(|_| Condvar::new()).collect();
    let (state, turns) = (Mutex::new(state), turns.clone());
    let shared = Arc::new(Shared { state, has_room: Condvar::new(), has_work, turns });
    let receiver = |worker| Receiver { shared: Arc::clone(&shared), worker };
    (Sender { shared: Arc::clone(&shared) }, (0..workers).map(receiver).collect())
}

/// The part that the sender and all receivers share.
#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    has_room: Condvar,
    /// One condition per worker: it has work, or the queue is closed.
    has_work: Box<[Condvar]>,
    turns: Turns,
}

/// The queues, which a mutex protects.
#[derive(Debug)]
struct State<T> {
    queues: Vec<Queue<T>>,
    sender_waits: bool,
    /// True when nothing more will be sent.
    is_closed: bool,
}

/// The queue of one worker.
#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<T>,
    /// True while the worker waits for work.
    waits: bool,
    /// True when the worker has exited.
    is_gone: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an item to the queue of one worker, and wakes the worker if it is waiting.
    fn push(&self, mut state: MutexGuard<'_, State<T>>, worker: usize, item: T) {
        let queue = &mut state.queues[worker];
        debug_assert!(!queue.is_gone, "nobody would receive the item");
        debug_assert!(!queue.waits || queue.items.is_empty(), "a worker waits only without work");
        queue.items.push_back(item);
        let waits = std::mem::take(&mut queue.waits);
        drop(state);
        if waits {
            self.has_work[worker].notify_one();
        }
        self.turns.changed();
    }

    /// Wakes the sender if it is waiting for room.
    fn wake_sender(&self, mut state: MutexGuard<'_, State<T>>) {
        let waits = std::mem::take(&mut state.sender_waits);
        drop(state);
        if waits {
            self.has_room.notify_one();
        }
        self.turns.changed();
    }
}

/// The sending end for all workers. When it is dropped, each worker ends after it has done all its work.
#[derive(Debug)]
pub(super) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Returns the number of workers.
    pub(super) fn workers(&self) -> usize {
        self.shared.has_work.len()
    }

    /// Sends to the worker with the shortest queue, as soon as one has room. If every worker has exited (each has
    /// already reported why), the item is dropped.
    pub(super) async fn send(&self, mut item: T) {
        while let Err(left) = self.try_send(item) {
            item = left;
            self.shared.turns.change().await;
        }
    }

    /// Sends. Without room, it waits for some, or gives the item back if it may not block.
    fn try_send(&self, item: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        loop {
            let there = state.queues.iter().enumerate().filter(|(_, queue)| !queue.is_gone);
            let least = there.map(|(worker, queue)| (queue.items.len(), worker)).min();
            match least {
                None => return Ok(()),
                Some((len, worker)) if len < LEN_MAX => {
                    self.shared.push(state, worker, item);
                    return Ok(());
                }
                Some(_) if !self.shared.turns.may_block() => return Err(item),
                Some(_) => {
                    state.sender_waits = true;
                    state = self.shared.has_room.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Sends to the given worker, no matter how long its queue is.
    pub(super) fn send_to(&self, worker: usize, item: T) {
        let state = self.shared.lock();
        if !state.queues[worker].is_gone {
            self.shared.push(state, worker, item);
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.has_work.iter().for_each(Condvar::notify_one);
        self.shared.turns.changed();
    }
}

/// The receiving end of one worker.
#[derive(Debug)]
pub(super) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    worker: usize,
}

impl<T> Receiver<T> {
    /// Waits for work. Returns `None` when nothing more will come.
    pub(super) async fn receive(&self) -> Option<T> {
        loop {
            if let Poll::Ready(item) = self.try_receive() {
                return item;
            }
            self.shared.turns.change().await;
        }
    }

    /// Receives. Without work, it waits for some, or is pending if it may not block.
    fn try_receive(&self) -> Poll<Option<T>> {
        let mut state = self.shared.lock();
        debug_assert!(!state.queues[self.worker].is_gone, "a receiver lives as long as its queue");
        loop {
            let items = &mut state.queues[self.worker].items;
            if let Some(item) = items.pop_front() {
                if items.len() <= LEN_LOW {
                    self.shared.wake_sender(state);
                }
                return Poll::Ready(Some(item));
            }
            if state.is_closed {
                return Poll::Ready(None);
            }
            if !self.shared.turns.may_block() {
                return Poll::Pending;
            }
            state.queues[self.worker].waits = true;
            state = self.shared.has_work[self.worker].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let queue = &mut state.queues[self.worker];
        queue.is_gone = true;
        queue.items.clear();
        self.shared.wake_sender(state);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::turns::run_blocking;

    fn send<T>(sender: &Sender<T>, item: T) {
        run_blocking(sender.send(item));
    }

    fn receive<T>(receiver: &Receiver<T>) -> Option<T> {
        run_blocking(receiver.receive())
    }

    #[test]
    fn each_worker_gets_its_own_in_order() {
        let (sender, receivers) = queues(2, &Turns::threads());
        for item in 0..4 {
            sender.send_to(item % 2, item);
        }
        drop(sender);
        let got: Vec<Vec<_>> =
            receivers.iter().map(|receiver| std::iter::from_fn(|| receive(receiver)).collect()).collect();
        assert_eq!(got, [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn the_worker_that_has_least_to_do_is_next() {
        let (sender, receivers) = queues(2, &Turns::threads());
        sender.send_to(0, 0);
        sender.send_to(0, 1);
        (2..4).for_each(|item| send(&sender, item));
        assert_eq!([(); 2].map(|()| receive(&receivers[1])), [Some(2), Some(3)]);
        // Nobody waits for room here, since both queues have some.
        send(&sender, 4);
        assert_eq!(receive(&receivers[1]), Some(4));
    }

    #[test]
    fn a_sender_waits_for_room_and_everything_arrives_once() {
        const ITEMS: usize = 10_000;
        let (sender, receivers) = queues(3, &Turns::threads());
        let workers: Vec<_> = receivers
            .into_iter()
            .map(|receiver| {
                thread::spawn(move || std::iter::from_fn(|| receive(&receiver)).collect::<Vec<_>>())
            })
            .collect();
        (0..ITEMS).for_each(|item| {
            send(&sender, item);
            let longest = sender.shared.lock().queues.iter().map(|queue| queue.items.len()).max();
            assert!(longest <= Some(LEN_MAX));
        });
        drop(sender);
        let mut got: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, (0..ITEMS).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_has_gone_holds_nobody_up() {
        let (sender, receivers) = queues(1, &Turns::threads());
        let sending = thread::spawn(move || {
            (0..2 * LEN_MAX).for_each(|item| send(&sender, item));
            sender.send_to(0, 0);
        });
        assert_eq!(receive(&receivers[0]), Some(0));
        drop(receivers);
        sending.join().unwrap();
    }
}
