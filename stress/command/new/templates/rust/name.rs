// A map for kill9: a file for each key, and a lock that the kernel takes from a dead holder.
// With the argument "faulty" a file is written where it is: who dies then leaves it cut short.
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::os::unix::io::AsRawFd;
use std::path::Path;

extern "C" {
    fn flock(fd: i32, operation: i32) -> i32;
}
const LOCK_EX: i32 = 2;
const LOCK_UN: i32 = 8;

// A field of a request: no text in it needs an escape.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let begin = format!("\"{}\":\"", name);
    let text = &line[line.find(&begin).expect(name) + begin.len()..];
    &text[..text.find('"').expect(name)]
}

fn answer(state: &str, line: &str, faulty: bool) -> io::Result<String> {
    let path = format!("{}/{}", state, field(line, "key"));
    let there = Path::new(&path).exists();
    Ok(match field(line, "f") {
        "put" => {
            let written = if faulty { path.clone() } else { path.clone() + ".new" };
            File::create(&written)?.write_all(field(line, "value").as_bytes())?;
            fs::rename(&written, &path)?; // in one step: the old value, or the new one
            "null".to_string()
        }
        "get" if there => format!("\"{}\"", fs::read_to_string(&path)?),
        "erase" => {
            if there {
                fs::remove_file(&path)?;
            }
            there.to_string()
        }
        _ => "null".to_string(),
    })
}

fn main() -> io::Result<()> {
    let faulty = std::env::args().nth(1).as_deref() == Some("faulty");
    let (mut state, mut lock) = (String::new(), None);
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut value = "null".to_string();
        if field(&line, "f") == "init" {
            state = field(&line, "state").to_string();
            lock = Some(File::create(format!("{}/lock", state))?);
        } else if let Some(lock) = &lock {
            unsafe { flock(lock.as_raw_fd(), LOCK_EX) };
            value = answer(&state, &line, faulty)?;
            unsafe { flock(lock.as_raw_fd(), LOCK_UN) };
        }
        let id: String = line[line.find("\"id\":").expect("id") + 5..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        println!("{{\"id\":{},\"type\":\"ok\",\"value\":{}}}", id, value);
    }
    Ok(())
}
