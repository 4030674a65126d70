//! What the child gives up before it reads a foreign byte. Linux only.
//!
//! Two fences stand behind each other: Landlock takes away files, TCP and signals to others; a
//! seccomp filter takes away system calls. Both hold for this thread and whatever it starts, and
//! cannot be taken down again. A kernel that lacks one is no reason to fail: what is missing is told.

use std::path::Path;

/// Raises the fences: around our own decoders, or around a program that is to decode. Gives what is
/// missing, in words.
pub(super) fn raise(program: Option<&Path>) -> Vec<String> {
    kernel::raise(program)
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
mod kernel {
    use std::path::Path;

    pub(super) fn raise(_program: Option<&Path>) -> Vec<String> {
        vec!["this system has neither Landlock nor seccomp".to_owned()]
    }
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod kernel {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };
    use libc::c_long;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };

    /// The newest Landlock whose rights are asked for; older kernels give what they have.
    const ABI_ASKED_FOR: ABI = ABI::V6;

    /// Where systems keep programs and what these load. `/proc` is not among them: it shows the
    /// environment of other processes.
    const SYSTEM_FOLDERS: &[&str] = &[
        "/bin",
        "/etc/alternatives",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/gnu/store",
        "/lib",
        "/lib32",
        "/lib64",
        "/nix/store",
        "/sys/devices/system/cpu",
        "/usr",
    ];

    /// All that our own decoders need: memory, threads, the clock, and the pipes that are open.
    const DECODING: &[c_long] = &[
        libc::SYS_brk,
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_close,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_fcntl,
        libc::SYS_fstat,
        libc::SYS_futex,
        libc::SYS_getcpu,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_gettimeofday,
        libc::SYS_lseek,
        libc::SYS_madvise,
        libc::SYS_membarrier,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
        libc::SYS_tgkill,
        libc::SYS_write,
        libc::SYS_writev,
    ];

    /// What no program that decodes has a use for: networks, other processes, the system itself.
    const NEVER: &[c_long] = &[
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_acct,
        libc::SYS_add_key,
        libc::SYS_bind,
        libc::SYS_bpf,
        libc::SYS_chroot,
        libc::SYS_connect,
        libc::SYS_delete_module,
        libc::SYS_fanotify_init,
        libc::SYS_finit_module,
        libc::SYS_fsmount,
        libc::SYS_fsopen,
        libc::SYS_init_module,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_io_uring_setup,
        libc::SYS_kexec_load,
        libc::SYS_keyctl,
        libc::SYS_listen,
        libc::SYS_mount,
        libc::SYS_move_mount,
        libc::SYS_open_by_handle_at,
        libc::SYS_open_tree,
        libc::SYS_perf_event_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_pivot_root,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_ptrace,
        libc::SYS_reboot,
        libc::SYS_request_key,
        libc::SYS_setns,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_swapon,
        libc::SYS_umount2,
        libc::SYS_unshare,
        libc::SYS_userfaultfd,
    ];

    pub(super) fn raise(program: Option<&Path>) -> Vec<String> {
        let mut missing = Vec::new();
        match lock_land(program) {
            Ok(RulesetStatus::FullyEnforced) => {}
            Ok(RulesetStatus::PartiallyEnforced) => {
                missing.push("the kernel has only a part of Landlock".to_owned());
            }
            Ok(RulesetStatus::NotEnforced) => {
                missing.push("the kernel has no Landlock, or it is turned off".to_owned());
            }
            Err(error) => missing.push(format!("Landlock: {error}")),
        }
        let filter = if program.is_some() { all_but_dangerous() } else { only_decoding() };
        if let Err(error) = filter.and_then(|filter| apply_filter(&filter)) {
            missing.push(format!("seccomp: {error}"));
        }
        missing
    }

    /// No file, no TCP, no signal to others; for a program, its own folder and the system's.
    fn lock_land(program: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI_ASKED_FOR))?
            .handle_access(AccessNet::from_all(ABI_ASKED_FOR))?
            .scope(Scope::from_all(ABI_ASKED_FOR))?
            .create()?;
        let status: RestrictionStatus = match program {
            None => rules.restrict_self()?,
            Some(program) => rules
                .add_rules(path_beneath_rules(
                    SYSTEM_FOLDERS.iter().map(PathBuf::from).chain(home(program)),
                    AccessFs::from_read(ABI_ASKED_FOR),
                ))?
                .add_rules(path_beneath_rules(
                    [Path::new("."), Path::new("/dev/null")],
                    AccessFs::from_all(ABI_ASKED_FOR) & !AccessFs::Execute,
                ))?
                .restrict_self()?,
        };
        Ok(status.ruleset)
    }

    /// Where a program was installed with its libraries: `/opt/thing` of `/opt/thing/bin/program`.
    fn home(program: &Path) -> Vec<PathBuf> {
        let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let beside = program
            .parent()
            .filter(|folder| folder.ends_with("bin"))
            .and_then(Path::parent)
            .filter(|folder| folder.parent().is_some())
            .map(Path::to_owned);
        std::iter::once(program.clone()).chain(beside).collect()
    }

    type Filter = Result<BpfProgram, seccompiler::Error>;

    /// A filter under which everything but decoding looks as if the kernel did not have it: libraries
    /// have a way round what old kernels lack, and none round what is forbidden.
    fn only_decoding() -> Filter {
        let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
            DECODING.iter().map(|call| (*call, Vec::new())).collect();
        // A thread, not a process. The newer call hides its flags in memory and is not offered.
        let thread = libc::CLONE_THREAD as u64;
        rules.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
        // The name of a thread.
        let name = libc::PR_SET_NAME as u64;
        rules.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, name)?]);
        // One's own limits, such as that of the stack.
        rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Eq, 0)?]);
        let absent = SeccompAction::Errno(libc::ENOSYS as u32);
        compiled(rules, absent, SeccompAction::Allow)
    }

    fn all_but_dangerous() -> Filter {
        /// Set in the number of a call that is made in the 32-bit manner of 64-bit processors.
        const X32: c_long = 0x4000_0000;
        let both = NEVER.iter().flat_map(|call| [*call, *call | X32]);
        let rules = both.map(|call| (call, Vec::new())).collect();
        compiled(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
    }

    fn rule(
        argument: u8,
        operator: SeccompCmpOp,
        value: u64,
    ) -> Result<SeccompRule, seccompiler::Error> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        Ok(SeccompRule::new(vec![condition])?)
    }

    fn compiled(
        rules: BTreeMap<c_long, Vec<SeccompRule>>,
        otherwise: SeccompAction,
        matched: SeccompAction,
    ) -> Filter {
        let architecture = std::env::consts::ARCH.try_into()?;
        Ok(SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?)
    }

    #[cfg(test)]
    mod tests {
        use std::io::ErrorKind;
        use std::net::{TcpListener, UdpSocket};
        use std::process::Command;

        use super::*;

        /// Does something behind fences, in a thread of its own: they hold for one thread and its
        /// offspring. `None` if this kernel has none of them.
        fn behind<T: Send>(program: Option<&Path>, act: impl FnOnce() -> T + Send) -> Option<T> {
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let missing = raise(program);
                    missing.iter().all(|text| !text.starts_with("seccomp")).then(act)
                });
                thread.join().unwrap()
            })
        }

        #[test]
        fn our_own_decoders_can_compute_and_nothing_else() {
            let done = behind(None, || {
                let sum = std::thread::spawn(|| (0..1000_u64).sum::<u64>()).join().unwrap();
                assert_eq!(sum, 499_500, "threads work");
                assert_eq!(vec![1_u8; 64 << 20].len(), 64 << 20, "memory works");
                assert!(std::fs::read("/etc/hostname").is_err(), "no file is opened");
                assert!(std::fs::write("written", "x").is_err(), "no file is made");
                assert!(TcpListener::bind("127.0.0.1:0").is_err(), "no socket is made");
                assert!(UdpSocket::bind("127.0.0.1:0").is_err());
                assert!(Command::new("/bin/true").status().is_err(), "no program is started");
            });
            assert!(done.is_some() || !Path::new("/proc/sys/kernel/seccomp").exists());
        }

        #[test]
        fn a_program_sees_its_folder_and_the_system_and_no_network() {
            let outside = tempfile::tempdir().unwrap();
            let secret = outside.path().join("secret");
            std::fs::write(&secret, "x").unwrap();
            let lands = matches!(
                std::thread::spawn(|| lock_land(None)).join().unwrap(),
                Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced)
            );
            behind(Some(Path::new("/bin/sh")), || {
                let status = Command::new("/bin/sh").args(["-c", "exit 7"]).status().unwrap();
                assert_eq!(status.code(), Some(7), "the program starts");
                assert_eq!(
                    UdpSocket::bind("127.0.0.1:0").unwrap_err().kind(),
                    ErrorKind::PermissionDenied
                );
                if lands {
                    assert_eq!(
                        std::fs::read(&secret).unwrap_err().kind(),
                        ErrorKind::PermissionDenied
                    );
                    assert!(std::fs::read("/proc/self/environ").is_err());
                    assert!(std::fs::read_dir("/usr").is_ok());
                }
            });
        }
    }
}
