//! Several people's nodes in one process, with a liar among them, over a network of the test's own
//! making.
//!
//! The nodes are real (core's, each on a disk in memory with a clock of its own), and so are the
//! sessions, the outbox and the inbox; what libp2p does is played: streams that are slow, break in
//! mid-word, are noticed to be broken by one end before the other, or cannot be opened for a while.
//! Power is cut between a commit's first write and its last sync, and nodes are started again from
//! copies of their disks that are long out of date. After every step the checkers of `check` look
//! at everybody. That they would see something is proved by `breaks`: nodes with a fault of a known
//! kind.
//!
//! A seed makes the run. `FREEHOLD_SIMULATION_SEEDS=400` asks for that many instead of a few, and
//! `FREEHOLD_SIMULATION_SEED=17` for that one.

mod breaks;
mod check;
mod liar;
mod link;
mod person;
mod photos;

use freehold_core::apply;
use freehold_core::random::Random;

use self::breaks::Break;
use self::check::Whole;
use self::liar::lie;
use self::link::Link;
use self::person::Person;

/// Seeds that are run with every change.
const SEEDS: u64 = 4;
const STEPS: u64 = 360;
/// The last of the people is the liar.
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];
const LIAR: usize = 4;
/// Who is friends with whom, by the script: what each may see follows from this alone. Alice and
/// Carol are no friends, nor are Bob and Dave; the liar has got at two.
const FRIENDS: [(usize, usize); 6] = [(0, 1), (1, 2), (2, 3), (3, 0), (0, LIAR), (2, LIAR)];

struct World {
    random: Random,
    people: Vec<Person>,
    links: Vec<Link>,
    /// What the nodes do wrong, where that is to be noticed.
    broken: Option<Break>,
}

impl World {
    async fn new(seed: u64, broken: Option<Break>) -> Self {
        let mut people = Vec::new();
        for (number, name) in NAMES.into_iter().enumerate() {
            people.push(Person::new(name, seed * 1_000_003 + number as u64 * 10_007).await);
        }
        for (one, other) in FRIENDS {
            person::befriend(&people[one], &people[other]).await;
        }
        let links = FRIENDS.iter().map(|(one, other)| Link::new(*one, *other, broken)).collect();
        Self { random: Random::seeded(seed), people, links, broken }
    }

    fn below(&self, count: usize) -> usize {
        usize::try_from(self.random.u64() % count as u64).unwrap()
    }

    /// One thing happens somewhere.
    async fn step(&mut self) {
        let (who, link) = (self.below(LIAR), self.below(self.links.len()));
        match self.random.u64() % 1000 {
            0..70 => {
                let what = self.random.u64();
                self.people[who].say(what).await;
            }
            70..160 => self.announce(who),
            160..300 => self.links[link].connect(&self.people),
            300..320 => self.links[link].tear(&self.random),
            320..328 => self.links[link].partition(true),
            328..350 => self.links[link].partition(false),
            350..362 => self.power_cut(who).await,
            362..370 => self.people[who].back_up(),
            370..374 => self.restore(who),
            374..400 => self.people[who].node.clock.advance(self.random.u64() % 90_000),
            400..430 => lie(&mut self.people, &mut self.links, &self.random).await,
            430..530 => {
                let (end, choice) = (self.below(2), self.random.u64());
                self.links[link].fetch(&self.people, end, choice, true).await;
            }
            _ => {
                for _ in 0..1 + self.below(8) {
                    let (end, choice) = (self.below(2), self.random.u64());
                    self.links[link].advance(&mut self.people, end, choice).await;
                }
            }
        }
    }

    /// New entries are durable, and every open stream hears of them.
    fn announce(&mut self, who: usize) {
        for fresh in self.people[who].fresh() {
            for link in &mut self.links {
                link.grown(who, &fresh, &self.people[who]);
            }
        }
    }

    async fn power_cut(&mut self, who: usize) {
        let (calls, seed) = (1 + self.random.u64() % 12, self.random.u64());
        if self.broken == Some(Break::SpeaksTooEarly) {
            return self.speak_too_early(who, seed).await;
        }
        self.hang_up_all(who);
        self.people[who].power_cut(calls, seed).await;
    }

    /// What is said reaches whoever listens, and then the power takes it from its author.
    async fn speak_too_early(&mut self, who: usize, choice: u64) {
        let before = self.people[who].remember();
        self.people[who].say(choice).await;
        self.announce(who);
        for link in self.links.iter_mut().filter(|link| link.joins(who)) {
            for end in [0, 1, 0, 1] {
                link.advance(&mut self.people, end, choice).await;
            }
        }
        self.hang_up_all(who);
        self.people[who].wake_up_as(before);
    }

    fn restore(&mut self, who: usize) {
        self.hang_up_all(who);
        let is_same_run = self.broken == Some(Break::SameEpochAgain);
        self.people[who].restore(is_same_run);
    }

    /// The process is gone; others notice when they notice.
    fn hang_up_all(&mut self, who: usize) {
        for link in &mut self.links {
            link.process_gone(who, &self.random);
        }
    }

    /// Every clock is set to the latest, and what was held because it came from a clock ahead falls
    /// due.
    async fn agree_on_the_time(&self) {
        let latest = self.people.iter().map(|person| person.node.clock.now()).max().unwrap();
        for Person { node, .. } in &self.people {
            node.clock.advance(latest.millis_since(node.clock.now()));
            while apply::run_due(node).await.unwrap() > 0 {}
        }
    }

    /// The network heals, the liar is silent, and everybody talks until nothing more is to be said.
    async fn heal(&mut self) -> Result<(), String> {
        for who in 0..LIAR {
            self.announce(who);
        }
        for link in &mut self.links {
            link.reset();
            if !link.joins(LIAR) {
                link.connect(&self.people);
            }
        }
        self.talk().await
    }

    async fn talk(&mut self) -> Result<(), String> {
        for _ in 0..200_000 {
            let mut did = false;
            for link in &mut self.links {
                for end in 0..2 {
                    did |= link.advance(&mut self.people, end, self.random.u64()).await;
                    did |= link.fetch(&self.people, end, self.random.u64(), false).await;
                }
            }
            if !did {
                return Ok(());
            }
        }
        Err("they never come to rest".to_owned())
    }
}

/// One whole run; what is wrong in it, if anything is.
async fn run(seed: u64, broken: Option<Break>) -> Result<(), String> {
    let mut world = World::new(seed, broken).await;
    let mut whole = Whole::new();
    for step in 0..STEPS {
        world.step().await;
        check::look(&world.people, &mut whole)
            .map_err(|wrong| format!("seed {seed}, step {step}: {wrong}"))?;
    }
    let healed = |wrong| format!("seed {seed}, healed: {wrong}");
    world.heal().await.map_err(healed)?;
    world.agree_on_the_time().await;
    // What fell due may show photos that nobody has asked for yet.
    world.heal().await.map_err(healed)?;
    check::look(&world.people, &mut whole).map_err(healed)?;
    check::all_have_come_together(&world.people).map_err(healed)?;
    check::everything_is_sound(&world.people).map_err(healed)
}

fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_happens_friends_agree_in_the_end_and_nobody_else_knows() {
    let seeds = match wanted("FREEHOLD_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..wanted("FREEHOLD_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        run(seed, None).await.unwrap();
    }
}
