/// The names of this process's threads that are a pool's of this name; `None` where the system
/// does not tell.
///
/// Linux tells 15 characters of a name: enough for `raddle-` and a short one.
#[cfg(target_os = "linux")]
pub fn of_pool(pool: &str) -> Option<Vec<String>> {
    let (housekeeper, worker) = (format!("raddle-{pool}"), format!("raddle-{pool}-"));
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.filter_map(|task| {
        // A thread that ends meanwhile has no name any more.
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    });
    Some(names.filter(|name| *name == housekeeper || name.starts_with(&worker)).collect())
}

/// The same where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn of_pool(_: &str) -> Option<Vec<String>> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pool_s_threads_are_told_from_those_of_another() {
        let (go_on, gone) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("raddle-t1-w".into());
        let thread = thread.spawn(move || gone.recv()).unwrap();
        // A thread names itself when it begins.
        while of_pool("t1").is_some_and(|threads| threads.is_empty()) {
            std::thread::yield_now();
        }
        assert_eq!(of_pool("t1").unwrap(), ["raddle-t1-w"]);
        assert!(of_pool("t").unwrap().is_empty() && of_pool("t11").unwrap().is_empty());
        drop(go_on);
        let _ = thread.join();
    }
}
