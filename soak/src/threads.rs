/// Returns the names of this process's threads that belong to the named pool; `None` if the system
/// does not list threads.
///
/// Linux keeps 15 characters of a thread's name. A pool with a name of up to 8 shows it in full.
#[cfg(target_os = "linux")]
pub fn of_pool(pool: &str) -> Option<Vec<String>> {
    let start = format!("{pool}-");
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.filter_map(|task| {
        // A thread that has ended meanwhile has no name.
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    });
    Some(names.filter(|name| name.starts_with(&start)).collect())
}

/// Returns `None`, as this system does not list threads.
#[cfg(not(target_os = "linux"))]
pub fn of_pool(_: &str) -> Option<Vec<String>> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_of_different_pools_are_distinguished() {
        let (running, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("t1-0".into());
        let thread = thread.spawn(move || stopped.recv()).unwrap();
        // A thread sets its name when it starts.
        while of_pool("t1").is_some_and(|threads| threads.is_empty()) {
            std::thread::yield_now();
        }
        assert_eq!(of_pool("t1").unwrap(), ["t1-0"]);
        assert!(of_pool("t").unwrap().is_empty() && of_pool("t11").unwrap().is_empty());
        drop(running);
        let _ = thread.join();
    }
}
