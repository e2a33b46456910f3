//! A process that runs: its lines as they come, its signals, its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running process. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    remarks: Receiver<String>,
    /// What was printed so far.
    pub(crate) page: Vec<String>,
    log: Vec<String>,
}

/// The lines of a stream, as they come; ends with it.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, remarks) =
            (lines_of(child.stdout.take().unwrap()), lines_of(child.stderr.take().unwrap()));
        Self { child, lines, remarks, page: Vec::new(), log: Vec::new() }
    }

    /// Waits for a printed line that holds `words`.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.page.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(_) => panic!(
                    "waited in vain for {words:?}; printed was {:#?}, remarked {:#?}",
                    self.page,
                    self.remarks.try_iter().collect::<Vec<_>>()
                ),
            }
        }
    }

    /// Waits for the page that says that all is up.
    pub(crate) fn read_page(&mut self) {
        self.wait_for("Ctrl-C stops it");
    }

    /// Waits for a line of its log that holds `words`.
    pub(crate) fn wait_for_remark(&mut self, words: &str) -> String {
        loop {
            match self.remarks.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(_) => panic!("waited in vain for the remark {words:?} in {:#?}", self.log),
            }
        }
    }

    /// The first word on the page that holds `part`.
    pub(crate) fn word(&self, part: &str) -> String {
        let word = self
            .page
            .iter()
            .flat_map(|line| line.split_whitespace())
            .find(|word| word.contains(part));
        word.unwrap_or_else(|| panic!("no {part:?} in {:#?}", self.page))
            .trim_matches('\'')
            .to_owned()
    }

    /// The port that the page says after `name`.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let words: Vec<&str> = self.page.iter().flat_map(|line| line.split_whitespace()).collect();
        let at = words
            .iter()
            .position(|word| *word == name)
            .unwrap_or_else(|| panic!("no {name} in {:#?}", self.page));
        words[at + 1].parse().unwrap()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_there(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has remarked and nobody has read yet.
    pub(crate) fn remarks(&self) -> Vec<String> {
        self.remarks.iter().collect()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: standard output is closed with it. Gives how it ended, and its whole log.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.page.push(line);
        }
        assert!(
            matches!(self.lines.try_recv(), Err(mpsc::TryRecvError::Disconnected)),
            "it did not end in {PATIENCE:?}"
        );
        let ended = self.child.wait().unwrap();
        self.log.extend(self.remarks.iter());
        (ended, std::mem::take(&mut self.log))
    }

    /// Stops it as an administrator would; it must end well.
    pub(crate) fn stop(self) -> Vec<String> {
        self.signal(Signal::TERM);
        let (ended, remarks) = self.end();
        assert_eq!(ended.code(), Some(0), "{remarks:#?}");
        remarks
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.end();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
