/// Round robin.
#[derive(Clone, Debug)]
pub struct Rotation<T> {
    members: Vec<T>,
    next: usize,
}

impl<T> Rotation<T> {
    /// Creates a rotation among these.
    pub fn new(members: Vec<T>) -> Self {
        Self { members, next: 0 }
    }

    /// Returns the next member.
    #[inline]
    pub fn next(&mut self) -> &T {
        let at = self.next;
        self.next = if at + 1 == self.members.len() { 0 } else { at + 1 };
        &self.members[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_take_turns() {
        let mut rotation = Rotation::new(vec![1, 2, 3]);
        let turns: Vec<_> = (0..7).map(|_| *rotation.next()).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
    }
}
