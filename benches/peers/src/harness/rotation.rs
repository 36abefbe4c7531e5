/// Round robin by hand: each in turn.
#[derive(Clone, Debug)]
pub struct Rotation<T> {
    members: Vec<T>,
    next: usize,
}

impl<T> Rotation<T> {
    /// Turns among these.
    pub fn new(members: Vec<T>) -> Self {
        Self { members, next: 0 }
    }

    /// Whose turn it is.
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
    fn turns_come_round() {
        let mut rotation = Rotation::new(vec![1, 2, 3]);
        let turns: Vec<_> = (0..7).map(|_| *rotation.next()).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1]);
    }
}
