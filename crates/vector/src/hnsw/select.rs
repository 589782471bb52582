//! The selection of links: Algorithm 4 of the HNSW paper (diverse neighbours first, then the pruned ones).

use crate::Result;
use crate::hnsw::format::PROTECTED;
use crate::hnsw::search::Candidate;

/// Selects at most `limit` links from candidates that are sorted nearest first. A candidate that is nearer to one already
/// selected than to the element itself is pruned, and only selected if there is room left. The result is nearest first.
pub fn select(
    candidates: &[Candidate],
    limit: usize,
    mut between: impl FnMut(u32, u32) -> Result<f32>,
) -> Result<Vec<Link>> {
    let (mut links, mut pruned) = (Vec::with_capacity(limit), Vec::new());
    select_into(candidates, limit, &mut between, &mut links, &mut pruned)?;
    Ok(links)
}

/// As [`select`], into vectors that are reused: the links, and a buffer.
pub(crate) fn select_into(
    candidates: &[Candidate],
    limit: usize,
    mut between: impl FnMut(u32, u32) -> Result<f32>,
    links: &mut Vec<Link>,
    pruned: &mut Vec<Link>,
) -> Result<()> {
    links.clear();
    pruned.clear();
    for candidate in candidates {
        if links.len() == limit {
            break;
        }
        let is_close = covered(links, candidate.id, candidate.distance, &mut between)?;
        let link = Link { id: candidate.id, distance: candidate.distance, protected: false, pruned: is_close };
        if is_close { pruned.push(link) } else { links.push(link) }
    }
    let room = limit - links.len();
    links.extend(pruned.iter().take(room));
    links.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.id.cmp(&b.id)));
    Ok(())
}

/// A link of an element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Its target.
    pub id: u32,
    /// The distance of the target to the owner.
    pub distance: f32,
    /// Whether it is part of the spanning tree.
    pub protected: bool,
    /// Whether Algorithm 4 would prune it: another link's target is nearer to its target than the owner is.
    pub pruned: bool,
}

impl Link {
    /// Its form on a page.
    pub fn on_disk(&self) -> u32 {
        if self.protected { self.id | PROTECTED } else { self.id }
    }
}

fn covered(chosen: &[Link], id: u32, distance: f32, between: &mut impl FnMut(u32, u32) -> Result<f32>) -> Result<bool> {
    for other in chosen {
        if between(id, other.id)? < distance {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Marks the links of a list that [`select`] would prune.
pub fn mark_pruned(links: &mut [Link], mut between: impl FnMut(u32, u32) -> Result<f32>) -> Result<()> {
    links.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.id.cmp(&b.id)));
    let mut chosen: Vec<Link> = Vec::with_capacity(links.len());
    for link in links.iter_mut() {
        link.pruned = covered(&chosen, link.id, link.distance, &mut between)?;
        if !link.pruned {
            chosen.push(*link);
        }
    }
    Ok(())
}

/// Updates the marks of a list for a `new` link: marks `new` itself, and those that are pruned because of it.
/// `between_new` is the distance of `new` to another element.
pub fn weigh(links: &mut [Link], new: &mut Link, mut between_new: impl FnMut(u32) -> Result<f32>) -> Result<()> {
    new.pruned = false;
    for link in links.iter().filter(|link| !link.pruned && link.distance <= new.distance) {
        if between_new(link.id)? < new.distance {
            new.pruned = true;
            return Ok(());
        }
    }
    for link in links.iter_mut().filter(|link| !link.pruned && link.distance > new.distance) {
        link.pruned = between_new(link.id)? < link.distance;
    }
    Ok(())
}

/// The link that `new` replaces in a full list whose pruned links [are marked](weigh); None if the list does not change. A
/// protected link is never replaced, and a protected `new` always replaces an unprotected one.
///
/// It is the farthest pruned one, else the farthest: the list differs from one by Algorithm 4 in one link at most.
pub fn victim(links: &[Link], new: &Link) -> Option<usize> {
    let order = |a: &Link, b: &Link| a.pruned.cmp(&b.pruned).then(a.distance.total_cmp(&b.distance));
    let unprotected = links.iter().enumerate().filter(|(_, link)| !link.protected);
    let (at, worst) = unprotected.max_by(|(_, a), (_, b)| order(a, b))?;
    (new.protected || order(new, worst).is_lt()).then_some(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Elements on a line: the distance of two is that of their numbers.
    fn between(a: u32, b: u32) -> Result<f32> {
        Ok((a as f32 - b as f32).abs())
    }

    fn candidates(ids: &[u32]) -> Vec<Candidate> {
        let mut all: Vec<_> =
            ids.iter().map(|id| Candidate { id: *id, distance: (*id as f32 - 100.0).abs(), live: true }).collect();
        all.sort();
        all
    }

    #[test]
    fn diverse_neighbours_come_first_and_pruned_ones_fill_up() {
        let chosen = select(&candidates(&[101, 102, 103, 98]), 2, between).unwrap();
        assert_eq!(chosen.iter().map(|link| link.id).collect::<Vec<_>>(), [101, 98]);
        let chosen = select(&candidates(&[101, 102, 103, 98]), 3, between).unwrap();
        assert_eq!(chosen.iter().map(|link| link.id).collect::<Vec<_>>(), [101, 98, 102]);
    }

    #[test]
    fn a_protected_link_never_gives_way() {
        let link = |id: u32, protected| Link { id, distance: (id as f32 - 100.0).abs(), protected, pruned: false };
        let mut links = vec![link(101, false), link(150, true)];
        mark_pruned(&mut links, between).unwrap();
        let decide = |links: &mut [Link], mut new: Link| {
            let id = new.id;
            weigh(links, &mut new, |other| between(id, other)).unwrap();
            victim(links, &new)
        };
        assert_eq!(decide(&mut links, link(120, false)), None, "101 is nearer, 150 is protected");
        assert_eq!(decide(&mut links, link(120, true)), Some(0), "a protected one gets in");
        let mut links = vec![link(101, true), link(99, true)];
        assert_eq!(decide(&mut links, link(100, true)), None, "there is no room");
    }
}
