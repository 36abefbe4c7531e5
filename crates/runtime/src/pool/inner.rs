use std::sync::Arc;

use raddle_core::WorkerSpec;

use super::hedging::Hedges;
use super::housekeeper::Housekeeper;
use crate::crew::{Crew, Hosts};
use crate::desk::Desk;
use crate::envelope::Envelope;
use crate::error::SpawnError;
use crate::router::{Control, Router};
use crate::settings::Settings;

pub(super) struct PoolInner<M, R> {
    pub(super) router: Arc<Router<Envelope<M, R>>>,
    pub(super) staff: Staff,
}

/// A pool's threads and what they run. Dropping it closes the pool and waits for them.
pub(super) struct Staff {
    pub(super) crew: Arc<Crew>,
    pub(super) desk: Arc<Desk>,
    pub(super) hedges: Arc<Hedges>,
}

impl Staff {
    /// Starts the workers of the roster and the housekeeper.
    pub(super) fn start(
        name: &str,
        settings: Arc<Settings>,
        control: Arc<Control>,
        hosts: Box<dyn Hosts>,
        template: WorkerSpec,
    ) -> Result<Self, SpawnError> {
        let desk = Arc::<Desk>::default();
        let hedges = Arc::new(Hedges::new(settings.hedge_budget));
        let notify = desk.notify().clone();
        let crew = Crew::new(name, settings, Arc::clone(&control), hosts, notify, template)?;
        // From here on, an error closes the mailboxes and waits for what was started.
        let staff = Self { crew: Arc::new(crew), desk, hedges };
        staff.crew.start_first()?;
        let housekeeper = Housekeeper {
            desk: Arc::clone(&staff.desk),
            crew: Arc::clone(&staff.crew),
            control,
            hedges: Arc::clone(&staff.hedges),
        };
        let thread = format!("raddle-{name}");
        let spawned = staff.crew.threads.spawn_housekeeper(&thread, move || housekeeper.run());
        spawned.map_err(|source| SpawnError::Thread { name: thread, source })?;
        Ok(staff)
    }
}

impl Drop for Staff {
    fn drop(&mut self) {
        self.crew.end_with_last_handle();
    }
}
