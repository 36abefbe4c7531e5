//! Pinning threads to cores, if the feature `affinity` is on.

#[cfg(feature = "affinity")]
mod imp {
    use crate::error::SpawnError;

    pub(crate) use core_affinity::CoreId;

    /// The cores that the process may use, or those of them that are `wanted`.
    pub(crate) fn find(wanted: Option<Vec<usize>>) -> Result<Vec<CoreId>, SpawnError> {
        let all = core_affinity::get_core_ids().unwrap_or_default();
        let Some(wanted) = wanted else {
            let (option, because) = ("pin_workers", "the operating system names no cores");
            let none = SpawnError::Meaningless { option, because };
            return if all.is_empty() { Err(none) } else { Ok(all) };
        };
        let find = |id: usize| {
            let core = all.iter().find(|core| core.id == id).copied();
            core.ok_or_else(|| SpawnError::Core {
                core: id,
                allowed: all.iter().map(|core| core.id).collect(),
            })
        };
        wanted.into_iter().map(find).collect()
    }

    /// Pins the calling thread; `false` if the operating system refuses.
    pub(crate) fn pin(core: CoreId) -> bool {
        core_affinity::set_for_current(core)
    }
}

#[cfg(not(feature = "affinity"))]
mod imp {
    /// There is no core to pin to.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum CoreId {}

    pub(crate) fn pin(core: CoreId) -> bool {
        match core {}
    }
}

pub(crate) use imp::*;
