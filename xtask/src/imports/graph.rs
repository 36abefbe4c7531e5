//! Which file of a crate imports from which, and the cycles of these imports.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt::Write;

use super::modules::{Meaning, Mention, Modules};

/// The files of a crate that import from others of it.
pub(super) struct Graph<'m> {
    modules: &'m Modules,
    /// By file, the files that it imports from, each with the mentions that do so.
    edges: BTreeMap<usize, BTreeMap<usize, Vec<&'m Mention>>>,
}

/// What a path resolves to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item, or a part of one, in this file.
    Item(usize),
}

impl<'m> Graph<'m> {
    pub(super) fn of(modules: &'m Modules) -> Self {
        let mut graph = Self { modules, edges: BTreeMap::new() };
        for (id, module) in modules.all.iter().enumerate() {
            for mention in &module.mentions {
                for target in graph.resolve(id, &mention.path, &mut HashSet::new()) {
                    let Target::Item(file) = target else { continue };
                    if file != module.file {
                        let edges = graph.edges.entry(module.file).or_default();
                        edges.entry(file).or_default().push(mention);
                    }
                }
            }
        }
        graph
    }

    /// `seen` has the names that are being looked up, as globs and re-exports may be circular.
    fn resolve(
        &self,
        module: usize,
        path: &'m [String],
        seen: &mut HashSet<(usize, &'m str)>,
    ) -> Vec<Target> {
        let Some((first, mut rest)) = path.split_first() else { return Vec::new() };
        let parent = |id: usize| self.modules.all[id].parent.unwrap_or(id);
        let mut targets = match first.as_str() {
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(module)],
            "super" => {
                let mut ancestor = parent(module);
                while let [word, after @ ..] = rest
                    && word == "super"
                {
                    (ancestor, rest) = (parent(ancestor), after);
                }
                vec![Target::Module(ancestor)]
            }
            name => self.look_up(module, name, seen),
        };
        for name in rest {
            let mut of_modules = Vec::new();
            for target in &targets {
                if let Target::Module(id) = target {
                    of_modules.extend(self.look_up(*id, name, seen));
                }
            }
            // What else follows an item is a part of it, such as a variant or a function.
            targets.retain(|target| matches!(target, Target::Item(_)));
            if !of_modules.is_empty() {
                targets = of_modules;
            }
        }
        targets
    }

    fn look_up(
        &self,
        id: usize,
        name: &'m str,
        seen: &mut HashSet<(usize, &'m str)>,
    ) -> Vec<Target> {
        if !seen.insert((id, name)) {
            return Vec::new();
        }
        let module = &self.modules.all[id];
        let mut targets = Vec::new();
        match module.names.get(name) {
            Some(meanings) => meanings.iter().for_each(|meaning| match meaning {
                Meaning::Item => targets.push(Target::Item(module.file)),
                Meaning::Module(id) => targets.push(Target::Module(*id)),
                Meaning::Import(path) => targets.extend(self.resolve(id, path, seen)),
            }),
            None => {
                for glob in &module.globs {
                    for target in self.resolve(id, glob, seen) {
                        if let Target::Module(id) = target {
                            targets.extend(self.look_up(id, name, seen));
                        }
                    }
                }
            }
        }
        seen.remove(&(id, name));
        targets
    }

    /// Descriptions of cycles, short ones first, until every edge that is in a cycle is in one of
    /// them.
    pub(super) fn cycles(&self) -> Vec<String> {
        let mut cycles = BTreeSet::new();
        for (from, targets) in &self.edges {
            for to in targets.keys() {
                if let Some(mut cycle) = self.shortest(*to, *from) {
                    let least = (0..cycle.len()).min_by_key(|index| cycle[*index]);
                    cycle.rotate_left(least.unwrap_or_default());
                    cycles.insert((cycle.len(), cycle));
                }
            }
        }
        let mut described = HashSet::new();
        // Every edge has to be inserted, so this must not stop at the first new one.
        let is_new =
            |cycle: &&Vec<usize>| edges(cycle).filter(|edge| described.insert(*edge)).count() > 0;
        let cycles = cycles.iter().map(|(_, cycle)| cycle).filter(is_new);
        cycles.map(|cycle| self.describe(cycle)).collect()
    }

    /// The files of a shortest way.
    fn shortest(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut before = BTreeMap::from([(from, from)]);
        let mut queue = VecDeque::from([from]);
        while let Some(file) = queue.pop_front() {
            if file == to {
                let mut way = vec![to];
                while let Some(last) = way.last().copied().filter(|last| *last != from) {
                    way.push(before[&last]);
                }
                way.reverse();
                return Some(way);
            }
            for next in self.edges.get(&file).into_iter().flat_map(BTreeMap::keys) {
                before.entry(*next).or_insert_with(|| {
                    queue.push_back(*next);
                    file
                });
            }
        }
        None
    }

    fn describe(&self, cycle: &[usize]) -> String {
        let name = |file: &usize| self.modules.files[*file].display();
        let mut text = String::new();
        for file in cycle {
            let _ = write!(text, "{} -> ", name(file));
        }
        let _ = write!(text, "{}", name(&cycle[0]));
        for (from, to) in edges(cycle) {
            let mentions = &self.edges[&from][&to];
            let imported: BTreeSet<_> =
                mentions.iter().filter(|of| of.is_import).filter_map(|of| of.path.last()).collect();
            // What is imported is in the list already.
            let is_new = |of: &&&Mention| of.is_import || !imported.contains(&of.path[0]);
            let lines: BTreeMap<_, _> =
                mentions.iter().filter(is_new).map(|of| (of.line, of.path.join("::"))).collect();
            for (line, path) in lines {
                let _ = write!(text, "\n    {}:{line}: {path}", name(&from));
            }
        }
        text
    }
}

fn edges(cycle: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    cycle.iter().copied().zip(cycle.iter().copied().cycle().skip(1))
}
