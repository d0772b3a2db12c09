//! What goes wrong while the program runs: interruptions, kills, full disks, hostile servers,
//! an interface that goes away. Nothing that was stored is lost, and the result says what is missing.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Home, Run};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// A sweep of loopback that takes about a minute if nobody stops it.
fn long_sweep(home: &Home) -> Child {
    let arguments =
        ["sweep", "127.0.0.1", "--io", "connect", "--ports", "1-2000", "--format", "json"];
    let mut command = home.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the scan stands in the database: from then on it may be interrupted.
fn wait_until_it_asks(home: &Home) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let scans = home.run(&["doctor"]).stdout;
        if scans.contains("1 scans") {
            return;
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    panic!("the sweep did not begin");
}

#[test]
fn an_interrupted_sweep_stores_what_it_has_and_says_what_is_missing() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let home = Home::new();
        let child = long_sweep(&home);
        wait_until_it_asks(&home);
        let asked_to_end = Instant::now();
        signal(&child, name);
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(asked_to_end.elapsed() < Duration::from_secs(5), "{:?}", asked_to_end.elapsed());
        let result: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(result["scan"]["complete"], false);
        let gaps = result["scan"]["gaps"].to_string();
        assert!(gaps.contains("interrupted"), "{gaps}");
    }
}

#[test]
fn after_kill_9_the_next_command_works_and_the_scan_is_incomplete() {
    let home = Home::new();
    let mut child = long_sweep(&home);
    wait_until_it_asks(&home);
    signal(&child, "-KILL");
    child.wait().unwrap();
    let run = home.run(&["assets"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let again = home.run(&["sweep", "127.0.0.1", "--io", "connect", "--ports", "1"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let assets = home.json(&["assets"]);
    assert_eq!(assets.as_array().unwrap().len(), 1, "{assets}");
}

#[test]
fn two_sweeps_at_once_share_a_database_and_readers_do_not_wait() {
    let home = Home::new();
    let sweep = |port: &str| {
        let arguments = ["sweep", "127.0.0.1", "--io", "connect", "--ports", port];
        home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [sweep("1-200"), sweep("201-400")];
    let mut reads = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut both = both.map(Some);
    while both.iter().any(Option::is_some) {
        assert!(Instant::now() < deadline, "the sweeps do not end");
        if home.path("daicho.db").exists() {
            let run = home.run(&["assets"]);
            // Until the first sweep has made its tables there is nothing to read yet.
            assert!(
                run.code == Some(0) || run.stderr.contains("run a sweep first"),
                "{}",
                run.stderr
            );
            reads += 1;
        }
        for slot in &mut both {
            let ended = slot.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            if let Some(child) = slot.take_if(|_| ended) {
                let run = Run::of(child.wait_with_output().unwrap());
                assert_eq!(run.code, Some(0), "{}", run.stderr);
                assert!(!run.stderr.contains("locked"), "{}", run.stderr);
            }
        }
    }
    assert!(reads > 0);
    let assets = home.json(&["assets"]);
    assert_eq!(assets.as_array().unwrap().len(), 1, "{assets}");
}

#[test]
fn a_read_only_database_can_be_read_and_not_swept_into() {
    let home = Home::new();
    let run = home.run(&["sweep", "127.0.0.1", "--io", "connect", "--ports", "1"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    // Root may write whatever its mode, so the file system itself is made read-only, in a mount
    // namespace of the command's own.
    let folder = home.path(".");
    let folder = folder.to_str().unwrap();
    let line = |command: &str| {
        format!(
            "mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && exec {} {command}",
            crate::home::program()
        )
    };
    for (command, code) in
        [("sweep 127.0.0.1 --io connect --ports 1", 2), ("assets", 0), ("findings", 0)]
    {
        let mut shell = home.command(&[]);
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", &line(command)]).env_clear();
        for (name, value) in shell.get_envs() {
            unshare.env(name, value.unwrap());
        }
        shell.arg0("unused");
        let run = Run::of(unshare.stdin(Stdio::null()).output().unwrap());
        assert_eq!(run.code, Some(code), "{command}: {}", run.stderr);
        if code == 2 {
            assert!(
                run.stderr.contains("read-only") && run.stderr.contains("daicho.db"),
                "{}",
                run.stderr
            );
        }
    }
}

#[test]
fn a_full_disk_is_named_and_what_was_stored_before_stays() {
    let home = Home::new();
    let folder = home.path("small");
    std::fs::create_dir(&folder).unwrap();
    let small = folder.to_str().unwrap();
    // Room for a fresh database and its log, not for a sweep beside a file that fills the rest.
    let script = format!(
        "mount -t tmpfs -o size=1640k tmpfs {small} && export DAICHO_DATABASE={small}/daicho.db && \
         {0} sweep 127.0.0.1 --io connect --ports 1 >/dev/null 2>&1; echo first=$?; \
         dd if=/dev/zero of={small}/filler bs=1k count=9999 2>/dev/null; \
         {0} sweep 127.0.0.0/28 --io connect --ports 1-40 --assume-alive; echo second=$?; \
         rm {small}/filler; {0} assets --format json; echo third=$?",
        crate::home::program()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script]).env_clear();
    for (name, value) in home.command(&[]).get_envs() {
        unshare.env(name, value.unwrap());
    }
    let run = Run::of(unshare.stdin(Stdio::null()).output().unwrap());
    assert!(run.stdout.contains("first=0"), "{}\n{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("second=2"), "{}\n{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("no room left"), "{}", run.stderr);
    assert!(
        run.stdout.contains("third=0") && run.stdout.contains("\"127.0.0.1\""),
        "{}",
        run.stdout
    );
}

/// Serves on a free port of loopback until the test ends, each connection in its own thread.
fn serve(talk: impl Fn(std::net::TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = talk.clone();
            thread::spawn(move || talk(stream));
        }
    });
    port
}

#[test]
fn a_server_that_sends_a_gigabyte_costs_its_own_limit_and_nothing_else() {
    let endless = serve(|mut stream| {
        let chunk = [b'A'; 65_536];
        let mut left = 1 << 30;
        while left > 0 && stream.write_all(&chunk).is_ok() {
            left -= chunk.len();
        }
    });
    let tarpit = serve(|mut stream| {
        // One byte now and then, for as long as the other side stays.
        while stream.write_all(b"x").is_ok() {
            thread::park_timeout(Duration::from_millis(500));
        }
    });
    let silent = serve(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let honest = serve(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9p1\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let home = Home::new();
    let ports = [&endless[..], &tarpit, &silent, &honest].join(",");
    let started = Instant::now();
    let result = home.json(&["sweep", "127.0.0.1", "--io", "connect", "--ports", &ports]);
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    let services = result["assets"][0]["services"].as_array().unwrap();
    assert_eq!(services.len(), 4, "{result}");
    let honest = services.iter().find(|s| s["port"] == honest.parse::<u64>().unwrap()).unwrap();
    assert_eq!(honest["product"], "OpenSSH", "{honest}");
    assert_eq!(honest["version"], "9.9p1", "{honest}");
}

#[test]
fn an_interface_that_goes_down_ends_the_sweep_with_what_it_has() {
    let lab = lab::Lab::with_only(&["silent"]).unwrap();
    for tier in ["raw", "connect"] {
        let home = Home::new();
        let arguments = ["sweep", lab::NETWORK, "--io", tier, "--rate", "20", "--format", "json"];
        let mut command = home.command_in(&lab, &arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_it_asks(&home);
        lab.set_cable(false).unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        lab.set_cable(true).unwrap();
        let result = run.json();
        let gaps = result["scan"]["gaps"].to_string();
        assert_eq!(result["scan"]["complete"], false, "{tier}: {gaps}");
        assert!(gaps.contains("eth0") || gaps.contains("unreachable"), "{tier}: {gaps}");
    }
}

#[test]
fn raw_without_the_capability_says_which_and_how_to_give_it() {
    let home = Home::new();
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw", "--"]).env_clear();
    command.arg(crate::home::program()).args(["sweep", "127.0.0.1", "--io", "raw", "--ports", "1"]);
    for (name, value) in home.command(&[]).get_envs() {
        command.env(name, value.unwrap());
    }
    let run = Run::of(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    for part in ["CAP_NET_RAW", "setcap cap_net_raw+ep", "--io connect"] {
        assert!(run.stderr.contains(part), "{part:?} is not in:\n{}", run.stderr);
    }
}
