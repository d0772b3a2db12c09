//! Gives up what a process does not need, before the first byte of a stranger is read.
//!
//! Three fences, each of which holds where another is missing: capabilities, the files that may be
//! opened (Landlock), and calls to the system that nothing here makes (seccomp). All three are a
//! thread's own and handed down to the threads and processes that it begins, so that this is called
//! while the process has one thread. A kernel without one of them is told of and is no error.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, path_beneath_rules,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use thiserror::Error;

/// The newest rights to files that are asked for; an older kernel knows fewer.
const RIGHTS: ABI = ABI::V5;

/// Capabilities that stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Capabilities {
    /// None.
    None,
    /// Those by which root writes a database that belongs to a service's user.
    Files,
    /// The same, and those by which raw sockets are opened and the kernel is had make probes.
    Network,
    /// The same, and that for ports below 1024, but only to be handed down.
    HandDown,
}

/// Which files may be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Files {
    /// Any: programs are begun that nobody here knows.
    Any,
    /// Written below these folders, and read below those. Files may be named as well.
    Below {
        /// What may be written, made and removed.
        write: Vec<PathBuf>,
        /// What may be read.
        read: Vec<PathBuf>,
    },
}

/// Whether other programs may be begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Programs {
    /// None.
    None,
    /// Those that may be read.
    Any,
}

/// What a process still needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Needs {
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// Its files.
    pub files: Files,
    /// Whether it begins other programs.
    pub programs: Programs,
}

/// How well a fence stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fence {
    /// As it should.
    Stands,
    /// With gaps: the kernel knows a part of it.
    InPart,
    /// Not at all: the kernel does not know it.
    Missing,
}

/// What became of the fences.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Confined {
    /// Files, by Landlock.
    pub files: Fence,
    /// Calls, by seccomp.
    pub calls: Fence,
}

/// A fence that the kernel knows could not be put up.
#[derive(Debug, Error)]
pub enum ConfineError {
    /// Capabilities could not be given up.
    #[error("cannot give up capabilities")]
    Capabilities(#[source] caps::errors::CapsError),
    /// Files could not be fenced off.
    #[error("cannot restrict which files are opened")]
    Files(#[source] landlock::RulesetError),
    /// Calls could not be fenced off.
    #[error("cannot restrict calls to the system")]
    Calls(#[source] seccompiler::Error),
}

/// Gives up everything but `needs`, for this thread and all that come of it. There is no way back.
///
/// # Errors
///
/// Where the kernel has such a fence and refuses it.
pub fn confine(needs: &Needs) -> Result<Confined, ConfineError> {
    give_up_capabilities(needs.capabilities).map_err(ConfineError::Capabilities)?;
    let files = match &needs.files {
        Files::Any => Fence::Missing,
        Files::Below { write, read } => {
            fence_files(write, read, needs.programs).map_err(ConfineError::Files)?
        }
    };
    let calls = fence_calls(needs)?;
    Ok(Confined { files, calls })
}

/// Gives up everything but what opening packet sockets and handing them over needs: every capability
/// but that one, all files, and all calls but a few, a wrong one of which ends the process.
///
/// # Errors
///
/// Where the kernel has such a fence and refuses it.
pub fn confine_to_sockets() -> Result<Confined, ConfineError> {
    give_up_all_but(&[SOCKETS]).map_err(ConfineError::Capabilities)?;
    // One that is permitted only; without it every socket is refused, which is told then.
    let _ = caps::raise(None, CapSet::Effective, Capability::CAP_NET_RAW);
    let files = fence_files(&[], &[], Programs::None).map_err(ConfineError::Files)?;
    let calls = apply_filter(lending()?)?;
    Ok(Confined { files, calls })
}

/// What of the fences this kernel knows, without putting any up.
#[must_use]
pub fn known() -> Confined {
    let hard = |rights: ABI| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let handled = ruleset.handle_access(AccessFs::from_all(rights));
        handled.and_then(Ruleset::create).is_ok()
    };
    let files = match (hard(RIGHTS), hard(ABI::V1)) {
        (true, _) => Fence::Stands,
        (false, true) => Fence::InPart,
        (false, false) => Fence::Missing,
    };
    let calls = match Path::new("/proc/sys/kernel/seccomp/actions_avail").exists() && arch().is_ok()
    {
        true => Fence::Stands,
        false => Fence::Missing,
    };
    Confined { files, calls }
}

/// To write the database of somebody else.
const FILES: &[Capability] = &[Capability::CAP_DAC_OVERRIDE, Capability::CAP_CHOWN];

/// To open raw sockets.
const SOCKETS: &[Capability] = &[Capability::CAP_NET_RAW];

/// The same, and to have the kernel make probes.
const NETWORK: &[Capability] = &[
    Capability::CAP_NET_RAW,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
];

/// To listen at a port below 1024, which the page's process may.
const LOW_PORTS: &[Capability] = &[Capability::CAP_NET_BIND_SERVICE];

fn give_up_capabilities(kept: Capabilities) -> Result<(), caps::errors::CapsError> {
    let keep: &[&[Capability]] = match kept {
        Capabilities::None => &[],
        Capabilities::Files => &[FILES],
        Capabilities::Network => &[FILES, NETWORK],
        Capabilities::HandDown => &[FILES, NETWORK, LOW_PORTS],
    };
    give_up_all_but(keep)?;
    if kept == Capabilities::HandDown {
        // The database of somebody else is the one thing that this process itself needs them for.
        let has = caps::read(None, CapSet::Effective)?;
        let own = has.into_iter().filter(|one| FILES.contains(one)).collect();
        caps::set(None, CapSet::Effective, &own)?;
    }
    Ok(())
}

fn give_up_all_but(keep: &[&[Capability]]) -> Result<(), caps::errors::CapsError> {
    let keep: CapsHashSet = keep.iter().copied().flatten().copied().collect();
    // What the process cannot get back by beginning a program. Only who has CAP_SETPCAP may do
    // this; who has not has little to lose.
    if let Ok(bounding) = caps::read(None, CapSet::Bounding) {
        for capability in bounding.difference(&keep) {
            let _ = caps::drop(None, CapSet::Bounding, *capability);
        }
    }
    // Unknown to kernels before 4.3.
    if let Ok(ambient) = caps::read(None, CapSet::Ambient) {
        for capability in ambient.difference(&keep) {
            caps::drop(None, CapSet::Ambient, *capability)?;
        }
    }
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        let has = caps::read(None, set)?;
        caps::set(None, set, &has.intersection(&keep).copied().collect())?;
    }
    Ok(())
}

fn fence_files(
    write: &[PathBuf],
    read: &[PathBuf],
    programs: Programs,
) -> Result<Fence, landlock::RulesetError> {
    let all = AccessFs::from_all(RIGHTS);
    let reading = match programs {
        Programs::Any => AccessFs::from_read(RIGHTS),
        Programs::None => AccessFs::ReadFile | AccessFs::ReadDir,
    };
    let writing = match programs {
        Programs::Any => all,
        Programs::None => all & !AccessFs::Execute,
    };
    let Ok(ruleset) = Ruleset::default().handle_access(all)?.create() else {
        // A container's own filter knows such calls no more than an old kernel does.
        return Ok(Fence::Missing);
    };
    // A path that is not there gives no right.
    let status = ruleset
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(write, writing))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Fence::Stands,
        RulesetStatus::PartiallyEnforced => Fence::InPart,
        RulesetStatus::NotEnforced => Fence::Missing,
    })
}

/// Calls that are never made here, and that are of use to who has taken a process over: to look into
/// others, to change the system, or to reach parts of the kernel that are seldom looked at.
const NEVER: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
];

/// To be begun by nobody who begins no programs.
const PROGRAMS: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

/// For the kernel to run programs of ours, which the fastest sweeps have it do.
const KERNEL_PROGRAMS: i64 = libc::SYS_bpf;

fn arch() -> Result<seccompiler::TargetArch, seccompiler::Error> {
    std::env::consts::ARCH.try_into().map_err(seccompiler::Error::Backend)
}

/// What lending sockets takes, the end of a program included.
const LENDING: &[i64] = &[
    libc::SYS_read,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_close,
    libc::SYS_write,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_futex,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_madvise,
];

/// Only those, and of sockets only packet sockets.
fn lending() -> Result<Option<SeccompFilter>, ConfineError> {
    let Ok(arch) = arch() else { return Ok(None) };
    let mut allowed: BTreeMap<i64, Vec<_>> =
        LENDING.iter().map(|call| (*call, Vec::new())).collect();
    let only = |argument, value: libc::c_int| {
        let (len, value) = (SeccompCmpArgLen::Dword, value.unsigned_abs().into());
        let condition = SeccompCondition::new(argument, len, SeccompCmpOp::Eq, value);
        condition.and_then(|condition| SeccompRule::new(vec![condition]))
    };
    // The second is how the standard library, built with its assertions, looks at what it closes.
    let rules = only(0, libc::AF_PACKET).and_then(|first| Ok((first, only(1, libc::F_GETFD)?)));
    let filter = rules.and_then(|(socket, look)| {
        allowed.insert(libc::SYS_socket, vec![socket]);
        allowed.insert(libc::SYS_fcntl, vec![look]);
        SeccompFilter::new(allowed, SeccompAction::KillProcess, SeccompAction::Allow, arch)
    });
    filter.map(Some).map_err(|error| ConfineError::Calls(error.into()))
}

fn fence_calls(needs: &Needs) -> Result<Fence, ConfineError> {
    // Machines whose calls are numbered in a way that it does not know.
    let Ok(arch) = arch() else { return Ok(Fence::Missing) };
    let mut refused: BTreeMap<i64, Vec<_>> = NEVER.iter().map(|call| (*call, Vec::new())).collect();
    if needs.programs == Programs::None {
        refused.extend(PROGRAMS.iter().map(|call| (*call, Vec::new())));
    }
    if matches!(needs.capabilities, Capabilities::None | Capabilities::Files) {
        refused.insert(KERNEL_PROGRAMS, Vec::new());
    }
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(refused, SeccompAction::Allow, refusal, arch);
    apply_filter(Some(filter.map_err(|error| ConfineError::Calls(error.into()))?))
}

fn apply_filter(filter: Option<SeccompFilter>) -> Result<Fence, ConfineError> {
    let Some(filter) = filter else { return Ok(Fence::Missing) };
    let program: Result<seccompiler::BpfProgram, _> = filter.try_into();
    let program = program.map_err(|error| ConfineError::Calls(error.into()))?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(Fence::Stands),
        // A kernel that was built without it, or a container that forbids it.
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(Fence::Missing)
        }
        Err(error) => Err(ConfineError::Calls(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, net::UdpSocket, process::Command, thread};

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// In a thread of its own, which takes the fences with it.
    fn confined<R: Send>(needs: &Needs, then: impl FnOnce(Confined) -> R + Send) -> R {
        thread::scope(|scope| {
            let thread = scope.spawn(|| then(confine(needs).unwrap()));
            thread.join().unwrap()
        })
    }

    fn needs(write: &Path, read: &Path) -> Needs {
        let (write, read) = (vec![write.to_owned()], vec![read.to_owned()]);
        Needs {
            capabilities: Capabilities::None,
            files: Files::Below { write, read },
            programs: Programs::None,
        }
    }

    fn is_refused<T>(done: io::Result<T>) -> bool {
        done.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn only_what_is_needed_can_be_opened() {
        let folders = [(); 3].map(|()| tempfile::TempDir::new().unwrap());
        let [write, read, other] = folders.each_ref().map(tempfile::TempDir::path);
        for folder in [write, read, other] {
            fs::write(folder.join("file"), "x").unwrap();
        }
        assert_eq!(known().files, Fence::Stands, "the kernel of the tests knows Landlock");
        confined(&needs(write, read), |fences| {
            assert_eq!(fences.files, Fence::Stands);
            fs::write(write.join("new"), "x").unwrap();
            fs::rename(write.join("new"), write.join("file")).unwrap();
            fs::read(read.join("file")).unwrap();
            fs::read_dir(read).unwrap();
            assert!(is_refused(fs::write(read.join("file"), "y")));
            assert!(is_refused(fs::remove_file(read.join("file"))));
            assert!(is_refused(fs::read(other.join("file"))));
            assert!(is_refused(fs::read("/etc/hostname")));
            assert!(is_refused(fs::read_dir("/")));
        });
        // Who was not confined still may.
        fs::read(other.join("file")).unwrap();
    }

    #[test]
    fn no_program_is_begun_and_no_raw_socket_opened() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut needs = needs(folder.path(), Path::new("/"));
        let before = Socket::new(Domain::PACKET, Type::RAW, None).is_ok();
        let raw = || Socket::new(Domain::PACKET, Type::RAW, None);
        confined(&needs, |fences| {
            assert_eq!(fences.calls, Fence::Stands);
            assert!(is_refused(Command::new("/bin/true").status()));
            assert!(raw().is_err());
            UdpSocket::bind("127.0.0.1:0").unwrap();
            assert_eq!(caps::read(None, CapSet::Permitted).unwrap(), CapsHashSet::new());
        });
        needs.capabilities = Capabilities::Network;
        needs.programs = Programs::Any;
        confined(&needs, |_| {
            Command::new("/bin/true").status().unwrap();
            assert_eq!(raw().is_ok(), before, "who had the capability keeps it");
            assert!(!caps::has_cap(None, CapSet::Permitted, Capability::CAP_SYS_ADMIN).unwrap());
        });
        needs.capabilities = Capabilities::HandDown;
        confined(&needs, |_| assert!(raw().is_err(), "it is there to be handed down alone"));
    }

    #[test]
    fn calls_that_nobody_makes_are_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let refused = |call: fn() -> libc::c_long| {
            confined(&needs(folder.path(), folder.path()), |_| {
                (call(), io::Error::last_os_error().raw_os_error())
            })
        };
        // Each without its arguments: allowed, they would complain of those.
        for call in [
            || by_number(libc::SYS_ptrace),
            || by_number(libc::SYS_unshare),
            || by_number(libc::SYS_bpf),
            || by_number(libc::SYS_userfaultfd),
        ] as [fn() -> libc::c_long; 4]
        {
            assert_eq!(refused(call), (-1, Some(libc::EPERM)));
        }
        assert_ne!(by_number(libc::SYS_unshare), -1, "with no flags it does nothing");
    }

    #[expect(unsafe_code, reason = "calls by number, to see that they are refused")]
    fn by_number(call: libc::c_long) -> libc::c_long {
        // SAFETY: with all arguments 0 none of the calls of the tests touches memory of ours.
        unsafe { libc::syscall(call, 0, 0, 0, 0, 0) }
    }
}
