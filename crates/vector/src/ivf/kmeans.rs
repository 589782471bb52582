//! K-means over the codes of sampled rows, which gives the centres of the lists.
//!
//! k-means++ draws the first centres (Arthur and Vassilvitskii, SODA 2007) from all samples: where tails are heavy, a part of
//! the samples has too few outliers. Then each sample is assigned to the nearest of all centres. Most later rounds compare a
//! sample with the [`NEAR`] centres around its own only (k²-means: Agustsson, Timofte and Van Gool, "k²-means for fast and
//! accurate large scale clustering", ECML 2017), skip those that the triangle inequality rules out, and skip samples for which
//! no centre has moved far enough to become the nearest (Hamerly, "Making k-means even faster", SDM 2010). Such a round is
//! cheap, and needs no bound for each pair of sample and centre, as pgvector's algorithm (Elkan's) does. In data without
//! clusters, however, the nearest centre is often not among those around the old one, so some rounds compare with all centres,
//! and so does the last. [`ROUNDS`] is large because many rounds improve the centres a little each where tails are heavy.
//!
//! Distances are Euclidean, whatever the metric of the index. The Hamming distance is the square of the Euclidean distance of
//! vectors of zeros and ones; for cosine, vectors have length 1. For inner product, directions are clustered, as in pgvector:
//! lengths may differ by orders of magnitude, and otherwise all short vectors would be in one list. A centre is then given
//! the mean length of the longest tenth of its samples, since a single length varies too much, and scans rank lists by inner
//! product: of 100,000 random vectors of 3 dimensions in 100 lists, ten lists then hold nearly all of the 10 with the largest
//! product, while the ten lists with the nearest directions (pgvector's) hold 13 %.
//!
//! The work is divided into [`Step`]s of many units, which threads may run in parallel. The result does not depend on the
//! number of threads.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::memory::{filled, room};
use crate::pace::Pace;
use crate::random::Random;
use crate::space::{Directions, Form, Measure, Metric, Space, Value};
use crate::{Coder, Result};

/// Maximum number of rounds; the last one compares with all centres.
const ROUNDS: u32 = 64;
/// Training stops when at most 1/SETTLED of the samples change cluster in a round.
const SETTLED: usize = 500;
/// The first round that compares with all centres again; the others are later powers of two.
const FULL: u32 = 4;
/// Number of centres around its own with which a sample is compared.
const NEAR: usize = 32;
/// Approximate number of distances in a unit of work: a few milliseconds.
const UNIT: usize = 1 << 16;
/// Number of centres in a unit of work.
const CENTRES: usize = 8;
/// For inner product, a centre has the mean length of the longest 1/LONGEST of its samples.
const LONGEST: usize = 10;
/// Rows between two checks for a cancel.
const POLL: usize = 1 << 16;

/// Number of rows to sample for this number of lists, as in pgvector.
pub fn samples(lists: u32) -> usize {
    (lists as usize * 50).max(10_000)
}

/// Bytes that clustering needs, samples included. Without samples it draws random centres only.
pub fn required_memory(space: &Space, lists: u32, samples: usize) -> usize {
    let (code, lists) = (space.max_code_bytes(), lists as usize);
    if samples == 0 {
        return lists * code;
    }
    let sample = if space.form == Form::Fine { space.with_form(Form::Floats).max_code_bytes() } else { code };
    let each_sample = sample + size_of::<[u32; 6]>(); // weight, nearest, distance, second, order, length
    let codes = if space.metric == Metric::InnerProduct { 2 } else { 1 };
    let each_centre = 2 * sample + codes * code + NEAR * size_of::<Near>() + size_of::<[u32; 3]>();
    samples * each_sample + lists * each_centre
}

/// Assigns rows to lists.
pub(crate) struct Assigning {
    measure: Measure,
    /// For inner product only.
    directions: Option<Directions>,
}

impl Assigning {
    pub fn new(coder: &Coder) -> Self {
        match coder.space.metric {
            Metric::InnerProduct => Self { measure: coder.space.measure(), directions: Some(Directions::new(coder)) },
            _ => Self { measure: coder.space.euclidean(), directions: None },
        }
    }

    /// The distance of a row to the centre of a list: Euclidean, or the number of bits that differ. For inner product, the
    /// negative length of the row's projection onto the centre's direction.
    #[inline]
    pub fn distance(&self, code: &[u32], centre: &[u32]) -> f32 {
        let distance = self.measure.distance(code, centre);
        self.directions.as_ref().map_or(distance, |directions| directions.along(distance, centre))
    }

    /// The length of the centre of a list for inner product; infinity for other metrics.
    pub fn length(&self, centre: &[u32]) -> f32 {
        self.directions.as_ref().map_or(f32::INFINITY, |directions| directions.length(centre) as f32)
    }

    /// For inner product, the [distance](Space::measure) by which a scan ranks a list. `distance` is that of the query to the
    /// centre; `length`, that of the longest inserted row, replaces the centre's if it is larger.
    pub fn lengthened(&self, distance: f32, centre: &[u32], length: f32) -> f32 {
        match &self.directions {
            Some(directions) if length > 0.0 => directions.lengthened(distance, centre, length),
            _ => distance,
        }
    }
}

/// Codes of equal length, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    pub words: usize,
    pub codes: Vec<u32>,
}

impl Codes {
    pub fn len(&self) -> usize {
        self.codes.len() / self.words
    }

    #[inline]
    pub fn get(&self, i: usize) -> &[u32] {
        &self.codes[i * self.words..(i + 1) * self.words]
    }

    fn get_mut(&mut self, i: usize) -> &mut [u32] {
        &mut self.codes[i * self.words..(i + 1) * self.words]
    }

    /// The nearest to a code, and its distance; the first one if several are equally near.
    #[inline]
    pub fn nearest(
        &self,
        distance: impl Fn(&[u32], &[u32]) -> f32,
        code: &[u32],
        pace: &Pace<'_>,
    ) -> Result<(u32, f32)> {
        let mut best = (0, f32::INFINITY);
        for (i, candidate) in (0..).zip(self.codes.chunks_exact(self.words)) {
            pace.spend(4 * self.words)?;
            let distance = distance(code, candidate);
            if distance < best.1 {
                best = (i, distance);
            }
        }
        Ok(best)
    }
}

/// A step of training. Each is divided into units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Draws the first centres. A unit is one centre; units run in order.
    Seed,
    /// Assigns some samples to the nearest of all centres.
    Assign,
    /// Sorts the samples by centre, and gives each empty cluster a sample. One unit.
    Sort,
    /// Computes the means of some clusters.
    Move,
    /// Makes the means the centres. One unit.
    Settle,
    /// Finds the centres nearest to some centres.
    Around,
    /// Assigns some samples to the nearest of their own centre and those around it.
    Reassign,
    /// For inner product, gives some centres the length of their samples.
    Lengthen,
}

impl Step {
    /// Whether units may run in parallel.
    pub fn is_parallel(self) -> bool {
        self != Self::Seed
    }
}

/// The distance of a centre to another one, and the other one.
type Near = (f32, u32);

#[derive(Default)]
struct Model {
    /// Samples in order of their centres.
    order: Vec<u32>,
    /// For each centre the position of its first sample in `order`.
    starts: Vec<u32>,
    rounds: u32,
    /// Whether the next round compares with all centres.
    is_full: bool,
    is_settled: bool,
}

struct Seeding {
    random: Random,
    /// For each sample the distance to the nearest centre so far.
    weights: Vec<f32>,
    is_done: bool,
}

/// The state of a clustering.
pub(crate) struct Training {
    coder: Coder,
    /// The space of samples and centres. It differs from `coded` where distances of codes are slower than distances of floats.
    space: Space,
    /// The space of the codes that the samples were decoded from, and that centres are encoded in at the end.
    coded: Space,
    /// For inner product, where samples are directions: their lengths.
    directions: Option<(Directions, Vec<f32>)>,
    /// For inner product, the centres with their lengths.
    lengthened: Mutex<Codes>,
    /// The rotated vector that quantised codes of directions are residuals of.
    about: Option<Box<[f32]>>,
    measure: Measure,
    /// A centre cannot be nearer to a sample than the sample's own if it is this many times as far from the own centre as
    /// the sample is.
    ratio: f32,
    lists: usize,
    samples: Codes,
    nearest: Vec<AtomicU32>,
    distance: Vec<AtomicU32>,
    /// For each sample, Hamerly's lower bound of the distance (not squared) to every centre but its own, of those that it
    /// would be compared with.
    second: Vec<AtomicU32>,
    /// For each centre, how far it moved in the last round.
    shift: Vec<AtomicU32>,
    /// For each centre, the largest `shift` of the centres around it.
    shift_around: Vec<AtomicU32>,
    /// Number of samples that have changed cluster in this round.
    changes: AtomicU32,
    seeding: Mutex<Seeding>,
    centres: RwLock<Codes>,
    /// The centres of the next round.
    moved: Mutex<Codes>,
    /// For each centre the others nearest to it, nearest first.
    around: RwLock<Vec<Near>>,
    model: RwLock<Model>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a float.
fn get(cell: &AtomicU32) -> f32 {
    f32::from_bits(cell.load(Ordering::Relaxed))
}

/// Writes a float.
fn put(cell: &AtomicU32, x: f32) {
    cell.store(x.to_bits(), Ordering::Relaxed);
}

macro_rules! read {
    ($lock:expr) => {
        $lock.read().unwrap_or_else(PoisonError::into_inner)
    };
}

macro_rules! write {
    ($lock:expr) => {
        $lock.write().unwrap_or_else(PoisonError::into_inner)
    };
}

impl Training {
    /// Prepares the clustering of samples, which are codes of `coder`.
    pub fn new(coder: Coder, lists: u32, mut samples: Vec<u32>, seed: u64, pace: &Pace<'_>) -> Result<Self> {
        let directions = match coder.space.metric {
            Metric::InnerProduct => Some(directions(&coder, &mut samples, pace)?),
            _ => None,
        };
        let coded = directions.as_ref().map_or(coder.space, |(directions, _)| directions.space());
        let about = match &directions {
            _ if coded.metric != Metric::Cosine || !coded.is_quantised() => None,
            Some((directions, _)) => Some(directions.about().into()),
            None => Some(coder.rotated_centre()),
        };
        let mut space = coded;
        if coded.form == Form::Fine {
            space = Space { form: Form::Floats, metric: Metric::L2, ..coded };
            samples = elements(&coded, &samples, pace)?;
        }
        let words = space.max_code_bytes() / 4;
        let (lists, samples) = (lists as usize, Codes { words, codes: samples });
        let count = samples.len();
        let zeros = |count: usize| {
            let mut all = room(count)?;
            all.resize_with(count, || AtomicU32::new(0));
            Ok(all)
        };
        let none = || filled(0, words * lists, || pace.check()).map(|codes| Codes { words, codes });
        Ok(Self {
            measure: space.euclidean(),
            ratio: if space.form == Form::Bits { 2.0 } else { 4.0 }, // the Euclidean distance is given as its square
            lists,
            nearest: zeros(count)?,
            distance: zeros(count)?,
            second: zeros(count)?,
            shift: zeros(lists)?,
            shift_around: zeros(lists)?,
            changes: AtomicU32::new(0),
            seeding: Mutex::new(Seeding {
                random: Random(seed),
                weights: filled(f32::INFINITY, count, || pace.check())?,
                is_done: false,
            }),
            centres: RwLock::new(none()?),
            moved: Mutex::new(none()?),
            around: RwLock::new(filled((0.0, 0), lists * NEAR.min(lists - 1), || pace.check())?),
            model: RwLock::default(),
            lengthened: Mutex::new(match &directions {
                Some(_) => {
                    let words = coder.space.max_code_bytes() / 4;
                    Codes { words, codes: filled(0, words * lists, || pace.check())? }
                }
                None => Codes { words, codes: Vec::new() },
            }),
            about,
            coder,
            space,
            coded,
            directions,
            samples,
        })
    }

    /// The first step, and its number of units.
    pub fn first(&self) -> (Step, u32) {
        (Step::Seed, self.lists as u32)
    }

    /// The step that follows when all units of `step` are done, and its number of units. None after the last step.
    pub fn after(&self, step: Step) -> Option<(Step, u32)> {
        let samples = (self.samples.len()).div_ceil(self.batch()) as u32;
        let centres = self.lists.div_ceil(CENTRES) as u32;
        match step {
            Step::Seed if self.samples.len() == 0 => self.last(centres),
            Step::Seed => Some((Step::Assign, samples)),
            Step::Assign | Step::Reassign => Some((Step::Sort, 1)),
            Step::Sort => Some((Step::Move, centres)),
            Step::Move => Some((Step::Settle, 1)),
            Step::Settle if read!(self.model).is_settled => self.last(centres),
            Step::Lengthen => None,
            Step::Settle if read!(self.model).is_full => Some((Step::Assign, samples)),
            Step::Settle => Some((Step::Around, centres)),
            Step::Around => Some((Step::Reassign, samples)),
        }
    }

    fn last(&self, centres: u32) -> Option<(Step, u32)> {
        self.directions.is_some().then_some((Step::Lengthen, centres))
    }

    /// Number of samples in a unit.
    fn batch(&self) -> usize {
        (UNIT / self.lists).max(1)
    }

    /// Runs one unit. Checks `pace` for a cancel meanwhile and at the end.
    pub fn run(&self, step: Step, unit: u32, pace: &Pace<'_>) -> Result<()> {
        let of = |size: usize, end: usize| unit as usize * size..((unit as usize + 1) * size).min(end);
        match step {
            Step::Seed => self.seed(unit as usize, pace)?,
            Step::Assign => self.assign(of(self.batch(), self.samples.len()), pace)?,
            Step::Sort => self.sort(pace)?,
            Step::Move => self.move_centres(of(CENTRES, self.lists), pace)?,
            Step::Settle => self.settle(),
            Step::Around => self.around(of(CENTRES, self.lists), pace)?,
            Step::Reassign => self.reassign(of(self.batch(), self.samples.len()), pace)?,
            Step::Lengthen => self.lengthen(of(CENTRES, self.lists), pace)?,
        }
        pace.check()
    }

    /// Takes the centres out, after the last step.
    pub fn take_centres(&self) -> Codes {
        let (mut lengthened, mut centres) = (lock(&self.lengthened), write!(self.centres));
        if self.directions.is_some() {
            return Codes { words: lengthened.words, codes: std::mem::take(&mut lengthened.codes) };
        }
        let words = self.coded.max_code_bytes() / 4;
        let codes = match self.space == self.coded {
            true => std::mem::take(&mut centres.codes),
            false => centres.codes.chunks_exact(centres.words).flat_map(|centre| self.code(centre)).collect(),
        };
        Codes { words, codes }
    }

    /// The code of a centre.
    fn code(&self, centre: &[u32]) -> Vec<u32> {
        if self.space == self.coded {
            return centre.to_vec();
        }
        let elements: Vec<f64> = centre.iter().map(|x| f64::from(f32::from_bits(*x))).collect();
        self.coded.centre(&elements).unwrap_or_else(|| Coder::plain(self.coded).origin())
    }

    /// Draws centre `number`.
    fn seed(&self, number: usize, pace: &Pace<'_>) -> Result<()> {
        let seeding = &mut *lock(&self.seeding);
        let mut sum = 0.0;
        if number == 0 {
            seeding.weights.fill(1.0);
            sum = seeding.weights.len() as f64;
        } else if !seeding.is_done {
            let centres = read!(self.centres);
            let last = centres.get(number - 1);
            for (i, weight) in seeding.weights.iter_mut().enumerate() {
                pace.spend(4 * self.samples.words)?;
                // The Hamming distance of bits is the square of their Euclidean distance, so both kinds are squares.
                let distance = self.measure.distance(self.samples.get(i), last);
                *weight = if number == 1 { distance } else { weight.min(distance) };
                sum += f64::from(*weight);
            }
        }
        // All samples equal a centre: the remaining centres are random.
        seeding.is_done = seeding.is_done || sum <= 0.0;
        let mut choice = sum * seeding.random.fraction();
        let drawn = seeding.weights.iter().position(|weight| {
            choice -= f64::from(*weight);
            choice < 0.0 && *weight > 0.0
        });
        let last = || seeding.weights.iter().rposition(|weight| *weight > 0.0);
        let code = match drawn.or_else(last) {
            Some(i) if !seeding.is_done => self.samples.get(i).to_vec(),
            _ => {
                let code = random_centre(&self.coder, &mut seeding.random)?;
                let code =
                    self.directions.as_ref().map_or_else(|| code.clone(), |(directions, _)| directions.of(&code).0);
                if self.space == self.coded { code } else { elements(&self.coded, &code, pace)? }
            }
        };
        write!(self.centres).get_mut(number).copy_from_slice(&code);
        Ok(())
    }

    fn assign(&self, samples: Range<usize>, pace: &Pace<'_>) -> Result<()> {
        let centres = read!(self.centres);
        let mut changes = 0;
        for i in samples {
            let (mut best, mut second, code) = ((0, f32::INFINITY), f32::INFINITY, self.samples.get(i));
            for (other, centre) in (0..).zip(centres.codes.chunks_exact(centres.words)) {
                pace.spend(4 * code.len())?;
                let distance = self.measure.distance(code, centre);
                if distance < best.1 {
                    (best, second) = ((other, distance), best.1);
                } else {
                    second = second.min(distance);
                }
            }
            changes += u32::from(best.0 as usize != self.nearest(i));
            self.set(i, best.0, best.1, second.sqrt());
        }
        self.changes.fetch_add(changes, Ordering::Relaxed);
        Ok(())
    }

    fn set(&self, sample: usize, nearest: u32, distance: f32, second: f32) {
        self.nearest[sample].store(nearest, Ordering::Relaxed);
        put(&self.distance[sample], distance);
        put(&self.second[sample], second);
    }

    fn nearest(&self, sample: usize) -> usize {
        self.nearest[sample].load(Ordering::Relaxed) as usize
    }

    fn distance(&self, sample: usize) -> f32 {
        get(&self.distance[sample])
    }

    fn sort(&self, pace: &Pace<'_>) -> Result<()> {
        self.fill_empty(pace)?;
        let model = &mut *write!(self.model);
        model.rounds += 1;
        let few = self.samples.len() / SETTLED;
        let changes = self.changes.swap(0, Ordering::Relaxed) as usize;
        let is_quiet = model.rounds > 1 && changes <= few;
        // With few lists, all other centres are around each.
        let has_all = self.lists <= NEAR + 1;
        model.is_settled = model.rounds >= ROUNDS || is_quiet && (has_all || model.is_full) || self.lists == 1;
        model.is_full = !has_all && (is_quiet || model.rounds + 1 >= FULL && (model.rounds + 1).is_power_of_two());
        (model.order, model.starts) =
            in_order(self.lists, self.samples.len(), |sample| self.nearest(sample), || pace.check())?;
        Ok(())
    }

    /// Gives each empty cluster a sample: those that are farthest from their own centre.
    fn fill_empty(&self, pace: &Pace<'_>) -> Result<()> {
        let mut counts = vec![0u32; self.lists];
        (0..self.samples.len()).for_each(|sample| counts[self.nearest(sample)] += 1);
        let empty: Vec<usize> = (0..self.lists).filter(|centre| counts[*centre] == 0).collect();
        if empty.is_empty() {
            return Ok(());
        }
        // The bits of non-negative floats are ordered as the floats are.
        let far = (0..self.samples.len()).map(|i| (self.distance(i), Reverse(i))).filter(|(x, _)| *x > 0.0);
        let mut all = room(self.samples.len())?;
        all.extend(far.map(|(x, i)| (x.to_bits(), i)));
        let mut far = BinaryHeap::from(all);
        let mut last: &[u32] = &[];
        let mut empty = empty.into_iter();
        while let Some((_, Reverse(sample))) = far.pop() {
            pace.spend(4 * self.samples.words)?;
            let (code, own) = (self.samples.get(sample), self.nearest(sample));
            if code == last || counts[own] == 1 {
                continue;
            }
            let Some(centre) = empty.next() else { break };
            counts[own] -= 1;
            counts[centre] += 1;
            self.set(sample, centre as u32, 0.0, 0.0);
            self.changes.fetch_add(1, Ordering::Relaxed);
            last = code;
        }
        Ok(())
    }

    fn move_centres(&self, centres: Range<usize>, pace: &Pace<'_>) -> Result<()> {
        let space = &self.space;
        let numbers = space.numbers();
        let (mut sum, mut numbers) = (vec![0.0f64; numbers], vec![0.0f32; numbers]);
        let model = read!(self.model);
        for centre in centres {
            let members = &model.order[model.starts[centre] as usize..model.starts[centre + 1] as usize];
            sum.fill(0.0);
            for sample in members {
                pace.spend(8 * sum.len())?;
                space.decode(self.samples.get(*sample as usize), &mut numbers);
                sum.iter_mut().zip(&numbers).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            sum.iter_mut().for_each(|x| *x /= members.len().max(1) as f64);
            // The centre of an empty cluster, or of one whose directions cancel out, does not move.
            let is_somewhere =
                !members.is_empty() && self.about.as_ref().is_none_or(|about| onto_sphere(&mut sum, about));
            let moved = if is_somewhere { space.centre(&sum) } else { None };
            let centres = read!(self.centres);
            let code = moved.unwrap_or_else(|| centres.get(centre).to_vec());
            put(&self.shift[centre], self.measure.distance(&code, centres.get(centre)).sqrt());
            lock(&self.moved).get_mut(centre).copy_from_slice(&code);
        }
        Ok(())
    }

    fn lengthen(&self, centres: Range<usize>, pace: &Pace<'_>) -> Result<()> {
        let Some((directions, lengths)) = &self.directions else { return Ok(()) };
        let (model, directed) = (read!(self.model), read!(self.centres));
        for centre in centres {
            let members = match model.starts.get(centre..=centre + 1) {
                Some([from, to]) => &model.order[*from as usize..*to as usize],
                _ => &[],
            };
            let mut of_members = room(members.len())?;
            of_members.extend(members.iter().map(|sample| lengths[*sample as usize]));
            pace.spend(4 * (of_members.len() + 4 * directed.words))?;
            let others = of_members.len() - of_members.len().div_ceil(LONGEST);
            if others > 0 {
                of_members.select_nth_unstable_by(others, f32::total_cmp);
            }
            let longest = &of_members[others..];
            let length = match longest.is_empty() {
                true => 1.0,
                false => longest.iter().map(|length| f64::from(*length)).sum::<f64>() / longest.len() as f64,
            };
            let code = directions.scaled(&self.code(directed.get(centre)), length as f32);
            lock(&self.lengthened).get_mut(centre).copy_from_slice(&code);
        }
        Ok(())
    }

    fn settle(&self) {
        std::mem::swap(&mut *write!(self.centres), &mut lock(&self.moved));
    }

    fn around(&self, numbers: Range<usize>, pace: &Pace<'_>) -> Result<()> {
        let centres = read!(self.centres);
        let (near, mut found) = (NEAR.min(self.lists - 1), Vec::with_capacity(self.lists));
        for centre in numbers {
            found.clear();
            for other in (0..self.lists).filter(|other| *other != centre) {
                pace.spend(4 * centres.words)?;
                found.push((self.measure.distance(centres.get(centre), centres.get(other)), other as u32));
            }
            let order = |a: &Near, b: &Near| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if near < found.len() {
                found.select_nth_unstable_by(near, order);
                found.truncate(near);
            }
            found.sort_unstable_by(order);
            let shifts = found.iter().map(|(_, other)| get(&self.shift[*other as usize]));
            put(&self.shift_around[centre], shifts.fold(0.0, f32::max));
            write!(self.around)[centre * near..(centre + 1) * near].copy_from_slice(&found);
        }
        Ok(())
    }

    fn reassign(&self, samples: Range<usize>, pace: &Pace<'_>) -> Result<()> {
        let (centres, near) = (read!(self.centres), NEAR.min(self.lists - 1));
        let around = read!(self.around);
        let mut changes = 0;
        for i in samples {
            let (code, own) = (self.samples.get(i), self.nearest(i));
            pace.spend(4 * code.len())?;
            let to_own = self.measure.distance(code, centres.get(own));
            // No centre around has moved far enough to become nearer than the sample's own.
            let second = get(&self.second[i]) - get(&self.shift_around[own]);
            if to_own.sqrt() <= second {
                self.set(i, own as u32, to_own, second);
                continue;
            }
            let (mut best, mut second) = ((own as u32, to_own), f32::INFINITY);
            for (apart, other) in &around[own * near..(own + 1) * near] {
                if *apart >= self.ratio * to_own {
                    // By the triangle inequality, neither this one nor those that follow are nearer.
                    second = second.min((apart.sqrt() - to_own.sqrt()).powi(2));
                    break;
                }
                pace.spend(4 * code.len())?;
                let distance = self.measure.distance(code, centres.get(*other as usize));
                if distance < best.1 {
                    (best, second) = ((*other, distance), best.1);
                } else {
                    second = second.min(distance);
                }
            }
            changes += u32::from(best.0 as usize != own);
            self.set(i, best.0, best.1, second.sqrt());
        }
        self.changes.fetch_add(changes, Ordering::Relaxed);
        Ok(())
    }
}

/// Scales the mean of some directions to length 1: it is shorter the farther they lie apart, and such lists would seem near to
/// every query. Directions and mean are residuals from `about`. Returns false if the directions cancel out.
fn onto_sphere(mean: &mut [f64], about: &[f32]) -> bool {
    mean.iter_mut().zip(about).for_each(|(x, about)| *x += f64::from(*about));
    let length = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
    mean.iter_mut().zip(about).for_each(|(x, about)| *x = *x / length - f64::from(*about));
    length > 0.0
}

/// Decodes codes to floats.
fn elements(space: &Space, codes: &[u32], pace: &Pace<'_>) -> Result<Vec<u32>> {
    let (words, count) = (space.max_code_bytes() / 4, space.numbers());
    let mut all = room(codes.len() / words * count)?;
    let mut numbers = vec![0.0; count];
    for code in codes.chunks_exact(words) {
        pace.spend(8 * count)?;
        space.decode(code, &mut numbers);
        all.extend(numbers.iter().map(|x| x.to_bits()));
    }
    Ok(all)
}

/// Replaces the codes of samples by those of their directions, in place. Returns the lengths.
fn directions(coder: &Coder, samples: &mut Vec<u32>, pace: &Pace<'_>) -> Result<(Directions, Vec<f32>)> {
    let directions = Directions::new(coder);
    let (words, fewer) = (coder.space.max_code_bytes() / 4, directions.space().max_code_bytes() / 4);
    let count = samples.len() / words;
    let mut lengths = room(count)?;
    for i in 0..count {
        pace.spend(16 * words)?;
        let (code, length) = directions.of(&samples[i * words..(i + 1) * words]);
        samples[i * fewer..(i + 1) * fewer].copy_from_slice(&code);
        lengths.push(length);
    }
    samples.truncate(count * fewer);
    Ok((directions, lengths))
}

/// Row numbers sorted by list, and the position at which each list begins. `poll` is called now and then.
pub(crate) fn in_order(
    lists: usize,
    count: usize,
    list: impl Fn(usize) -> usize,
    poll: impl Fn() -> Result<()>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let check = |i: usize| if i.is_multiple_of(POLL) { poll() } else { Ok(()) };
    let mut starts = vec![0u32; lists + 1];
    for i in 0..count {
        check(i)?;
        starts[list(i) + 1] += 1;
    }
    for i in 0..lists {
        starts[i + 1] += starts[i];
    }
    let (mut order, mut at) = (filled(0, count, &poll)?, starts.clone());
    for i in 0..count {
        check(i)?;
        let place = &mut at[list(i)];
        order[*place as usize] = i as u32;
        *place += 1;
    }
    Ok((order, starts))
}

/// A random centre: elements in 0..1, or random bits, as in pgvector.
pub(crate) fn random_centre(coder: &Coder, random: &mut Random) -> Result<Vec<u32>> {
    let dimensions = coder.space.dimensions;
    let code = match coder.space.form {
        Form::Bits => {
            let whole = dimensions / 8; // bits after the last dimension must stay zero
            let byte = |i: usize, random: &mut Random| if i < whole { random.next() as u8 } else { 0 };
            let bytes: Vec<u8> = (0..dimensions.div_ceil(8)).map(|i| byte(i, random)).collect();
            coder.encode(Value::Bits(&bytes))?
        }
        _ => {
            let elements: Vec<f32> = (0..dimensions).map(|_| random.fraction() as f32).collect();
            coder.encode(Value::Dense(&elements))?
        }
    };
    let code = code.unwrap_or_else(|| coder.origin());
    if coder.space.metric != Metric::InnerProduct {
        return Ok(code);
    }
    let directions = Directions::new(coder);
    let (direction, length) = directions.of(&code);
    Ok(directions.scaled(&direction, length))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
