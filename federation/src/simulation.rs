//! Several people's nodes in one process, one of them hostile, over a simulated network.
//!
//! The nodes are core's, each on a disk in memory with its own clock. The sync sessions, and the
//! modules that read the outbox and store received entries, are the product's. libp2p is simulated:
//! streams are slow, break in the middle of a message, look open from one end after the other has
//! closed, or cannot be opened for a while. Power cuts hit between a commit's first write and its
//! last sync, and nodes start again from old copies of their disks. After every step the checks of
//! `check` examine all nodes; `faults` proves that the checks detect nodes with known faults.
//!
//! A run follows from its seed. `FREEHOLD_SIMULATION_SEEDS=400` runs that many seeds instead of a
//! few, `FREEHOLD_SIMULATION_SEED=17` that one.

mod check;
mod faults;
mod hostile_peer;
mod link;
mod person;
mod photos;

use freehold_core::apply;
use freehold_core::random::Random;

use self::check::CheckedLogs;
use self::faults::NodeFault;
use self::hostile_peer::send_hostile_message;
use self::link::Link;
use self::person::Person;

/// Seeds that are run by default.
const SEEDS: u64 = 4;
const STEPS: u64 = 360;
/// The last person's node is hostile.
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];
const HOSTILE: usize = 4;
/// The friendships, from which alone follows what each person may see. Alice and Carol are not
/// friends, nor are Bob and Dave; the hostile person has two friends.
const FRIENDS: [(usize, usize); 6] = [(0, 1), (1, 2), (2, 3), (3, 0), (0, HOSTILE), (2, HOSTILE)];

struct World {
    random: Random,
    people: Vec<Person>,
    links: Vec<Link>,
    /// The fault of the nodes, which the checks must detect.
    fault: Option<NodeFault>,
}

impl World {
    async fn new(seed: u64, fault: Option<NodeFault>) -> Self {
        let mut people = Vec::new();
        for (number, name) in NAMES.into_iter().enumerate() {
            people.push(Person::new(name, seed * 1_000_003 + number as u64 * 10_007).await);
        }
        for (one, other) in FRIENDS {
            person::make_friends(&people[one], &people[other]).await;
        }
        let links = FRIENDS.iter().map(|(one, other)| Link::new(*one, *other, fault)).collect();
        Self { random: Random::seeded(seed), people, links, fault }
    }

    fn below(&self, count: usize) -> usize {
        usize::try_from(self.random.u64() % count as u64).unwrap()
    }

    /// One random event.
    async fn step(&mut self) {
        let (person, link) = (self.below(HOSTILE), self.below(self.links.len()));
        match self.random.u64() % 1000 {
            0..70 => {
                let choice = self.random.u64();
                self.people[person].write(choice).await;
            }
            70..160 => self.push_new_entries(person),
            160..300 => self.links[link].connect(&self.people),
            300..320 => self.links[link].break_stream(&self.random),
            320..328 => self.links[link].partition(true),
            328..350 => self.links[link].partition(false),
            350..362 => self.power_cut(person).await,
            362..370 => self.people[person].back_up(),
            370..374 => self.restore(person),
            374..400 => self.people[person].node.clock.advance(self.random.u64() % 90_000),
            400..430 => send_hostile_message(&mut self.people, &mut self.links, &self.random).await,
            430..530 => {
                let (end, choice) = (self.below(2), self.random.u64());
                self.links[link].fetch(&self.people, end, choice, true).await;
            }
            _ => {
                for _ in 0..1 + self.below(8) {
                    let (end, choice) = (self.below(2), self.random.u64());
                    self.links[link].step(&mut self.people, end, choice).await;
                }
            }
        }
    }

    /// Hands new durable entries to every open stream.
    fn push_new_entries(&mut self, person: usize) {
        for new in self.people[person].new_entries() {
            for link in &mut self.links {
                link.on_new_entry(person, &new, &self.people[person]);
            }
        }
    }

    async fn power_cut(&mut self, person: usize) {
        let (calls, seed) = (1 + self.random.u64() % 12, self.random.u64());
        if self.fault == Some(NodeFault::SendsBeforeDurable) {
            return self.send_before_durable(person, seed).await;
        }
        self.disconnect_all(person);
        self.people[person].power_cut(calls, seed).await;
    }

    /// Sends an entry to friends, and then loses it from the author's disk.
    async fn send_before_durable(&mut self, person: usize, choice: u64) {
        let before = self.people[person].snapshot();
        self.people[person].write(choice).await;
        self.push_new_entries(person);
        for link in self.links.iter_mut().filter(|link| link.has_end(person)) {
            for end in [0, 1, 0, 1] {
                link.step(&mut self.people, end, choice).await;
            }
        }
        self.disconnect_all(person);
        self.people[person].start_from(before);
    }

    fn restore(&mut self, person: usize) {
        self.disconnect_all(person);
        let is_same_run = self.fault == Some(NodeFault::ReusesEpoch);
        self.people[person].restore(is_same_run);
    }

    /// The process at one node ends; the others detect it later.
    fn disconnect_all(&mut self, person: usize) {
        for link in &mut self.links {
            link.process_ended(person, &self.random);
        }
    }

    /// Sets every clock to the latest one, so that entries held for a future time become due.
    async fn synchronise_clocks(&self) {
        let latest = self.people.iter().map(|person| person.node.clock.now()).max().unwrap();
        for Person { node, .. } in &self.people {
            node.clock.advance(latest.millis_since(node.clock.now()));
            while apply::run_due(node).await.unwrap() > 0 {}
        }
    }

    /// Repairs the network without the hostile peer, and runs until all sessions are idle.
    async fn heal(&mut self) -> Result<(), String> {
        for person in 0..HOSTILE {
            self.push_new_entries(person);
        }
        for link in &mut self.links {
            link.reset();
            if !link.has_end(HOSTILE) {
                link.connect(&self.people);
            }
        }
        self.run_until_idle().await
    }

    async fn run_until_idle(&mut self) -> Result<(), String> {
        for _ in 0..200_000 {
            let mut is_busy = false;
            for link in &mut self.links {
                for end in 0..2 {
                    is_busy |= link.step(&mut self.people, end, self.random.u64()).await;
                    is_busy |= link.fetch(&self.people, end, self.random.u64(), false).await;
                }
            }
            if !is_busy {
                return Ok(());
            }
        }
        Err("the sessions never become idle".to_owned())
    }
}

/// One run; the error names the first check that failed.
async fn run(seed: u64, fault: Option<NodeFault>) -> Result<(), String> {
    let mut world = World::new(seed, fault).await;
    let mut checked = CheckedLogs::new();
    for step in 0..STEPS {
        world.step().await;
        check::check_step(&world.people, &mut checked)
            .map_err(|error| format!("seed {seed}, step {step}: {error}"))?;
    }
    let healed = |error| format!("seed {seed}, healed: {error}");
    world.heal().await.map_err(healed)?;
    world.synchronise_clocks().await;
    // Posts that became due may show photos that were not requested yet.
    world.heal().await.map_err(healed)?;
    check::check_step(&world.people, &mut checked).map_err(healed)?;
    check::check_converged(&world.people).map_err(healed)?;
    check::check_integrity(&world.people).map_err(healed)
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn simulated_friends_converge_and_no_other_reads_posts() {
    let seeds = match env_number("FREEHOLD_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env_number("FREEHOLD_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        run(seed, None).await.unwrap();
    }
}
