//! A running process: its output, its log, its signals, its exit status.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A test fails after a wait of this length.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A running process. It is killed on drop.
pub(crate) struct NodeProcess {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// The lines of standard output read so far.
    pub(crate) output: Vec<String>,
    /// The lines of standard error read so far.
    log: Vec<String>,
}

/// The lines of a stream, read by a thread until the stream ends.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl NodeProcess {
    /// Starts the process.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) =
            (lines_of(child.stdout.take().unwrap()), lines_of(child.stderr.take().unwrap()));
        Self { child, stdout, stderr, output: Vec::new(), log: Vec::new() }
    }

    /// Waits for a line of standard output that contains `text`.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> String {
        loop {
            match self.stdout.recv_timeout(TIMEOUT) {
                Ok(line) => {
                    self.output.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!(
                    "no line with {text:?}; output {:#?}, log {:#?}",
                    self.output,
                    self.stderr.try_iter().collect::<Vec<_>>()
                ),
            }
        }
    }

    /// Waits for the end of the startup message.
    pub(crate) fn wait_until_ready(&mut self) {
        self.wait_for_line("Ctrl-C stops it");
    }

    /// Waits for a log line that contains `text`.
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        loop {
            match self.stderr.recv_timeout(TIMEOUT) {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no log line with {text:?} in {:#?}", self.log),
            }
        }
    }

    /// The first word of the output that contains `part`.
    pub(crate) fn printed_word(&self, part: &str) -> String {
        let word = self
            .output
            .iter()
            .flat_map(|line| line.split_whitespace())
            .find(|word| word.contains(part));
        word.unwrap_or_else(|| panic!("no {part:?} in {:#?}", self.output))
            .trim_matches('\'')
            .to_owned()
    }

    /// The port that is printed after `name`.
    pub(crate) fn printed_port(&self, name: &str) -> u16 {
        let words: Vec<&str> =
            self.output.iter().flat_map(|line| line.split_whitespace()).collect();
        let at = words
            .iter()
            .position(|word| *word == name)
            .unwrap_or_else(|| panic!("no {name} in {:#?}", self.output));
        words[at + 1].parse().unwrap()
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True until the process has ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The unread lines of the log; blocks until the process ends.
    pub(crate) fn rest_of_log(&self) -> Vec<String> {
        self.stderr.iter().collect()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process, which closes standard output. Returns the exit status and
    /// the whole log.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        while let Ok(line) = self.stdout.recv_timeout(TIMEOUT) {
            self.output.push(line);
        }
        assert!(
            matches!(self.stdout.try_recv(), Err(mpsc::TryRecvError::Disconnected)),
            "the process did not end in {TIMEOUT:?}"
        );
        let status = self.child.wait().unwrap();
        self.log.extend(self.stderr.iter());
        (status, std::mem::take(&mut self.log))
    }

    /// Sends SIGTERM and expects exit code 0. Returns the log.
    pub(crate) fn stop(self) -> Vec<String> {
        self.signal(Signal::TERM);
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        log
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
