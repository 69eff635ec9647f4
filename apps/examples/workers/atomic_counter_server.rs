// A fork server of kill9 (docs/bring_your_own.md): a counter in anonymous shared memory, made
// before the fork, which one instruction changes. With the argument "locked" a polled lock is held
// until the answer is written, and whoever dies with it leaves it held for ever.
//     rustc -O atomic_counter_server.rs
//     kill9 torture --fork-server=./atomic_counter_server --model=counter
//     kill9 torture --fork-server='./atomic_counter_server locked' --model=counter --watchdog=1
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::io::FromRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

extern "C" {
    fn fork() -> i32;
    fn mmap(at: usize, size: usize, access: i32, kind: i32, fd: i32, offset: i64) -> *mut AtomicI64;
    fn signal(number: i32, handler: usize) -> usize;
}
const READ_AND_WRITE: i32 = 3;
const SHARED_AND_ANONYMOUS: i32 = 0x21;
const SIGCHLD: i32 = 17;
const IGNORE: usize = 1;

// A number behind a name; no text of a counter's requests has one.
fn number(line: &str, name: &str) -> i64 {
    let at = line.find(&format!("\"{}\":", name)).expect(name) + name.len() + 3;
    let digits: String = line[at..].chars().take_while(|c| "-0123456789".contains(*c)).collect();
    digits.parse().expect(name)
}

fn serve(sum: &AtomicI64, lock: Option<&AtomicI64>, stream: UnixStream) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let mut value = "null".to_string();
        while lock.map_or(false, |held| held.swap(1, SeqCst) == 1) {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        if line.contains("\"f\":\"add\"") {
            sum.fetch_add(number(&line, "value"), SeqCst);
        } else if line.contains("\"f\":\"read\"") {
            value = sum.load(SeqCst).to_string();
        }
        let id = number(&line, "id");
        let answer = format!("{{\"id\":{},\"type\":\"ok\",\"value\":{}}}\n", id, value);
        answers.write_all(answer.as_bytes())?;
        if let Some(held) = lock {
            held.store(0, SeqCst);
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let memory = unsafe { mmap(0, 4096, READ_AND_WRITE, SHARED_AND_ANONYMOUS, -1, 0) };
    let (sum, lock) = unsafe { (&*memory, &*memory.add(1)) };
    let is_locked = std::env::args().nth(1).as_deref() == Some("locked");
    unsafe { signal(SIGCHLD, IGNORE) };
    for connection in unsafe { UnixListener::from_raw_fd(3) }.incoming() {
        let connection = connection?;
        if unsafe { fork() } == 0 {
            return serve(sum, if is_locked { Some(lock) } else { None }, connection);
        }
    }
    Ok(())
}
