//! The system call filter (seccomp(2)).
//!
//! What a process of an image may not do is refused by the kernel already, since it has few
//! capabilities; the filter takes away what is dangerous all the same, and hands the calls that
//! need ids that aren't there to the supervisor.

use libc::sock_filter;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`; arguments are little-endian, so their low words come first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Keys of the host's user, programs for the kernel, the clock, mounts and namespaces: the
/// essence of what Docker's default profile refuses.
const REFUSED: [i64; 40] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// What the supervisor answers where only one id is mapped.
#[cfg(target_arch = "x86_64")]
const SUPERVISED: [i64; 25] = [
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
];
#[cfg(target_arch = "aarch64")]
const SUPERVISED: [i64; 21] = [
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
];

/// The filter, with the supervisor's calls or without.
pub(crate) fn program(supervised: bool) -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCH),
        // Programs for a sibling architecture would get past the numbers below.
        jump(IF_EQUAL, ARCHITECTURE, 1, 0),
        statement(RETURN, refuse(libc::ENOSYS)),
        statement(LOAD, NUMBER),
    ];
    // The x32 numbers of x86-64.
    on(&mut program, IF_ANY_BIT, 0x4000_0000, refuse(libc::ENOSYS));
    for number in REFUSED {
        on(&mut program, IF_EQUAL, number as u32, refuse(libc::EPERM));
    }
    if supervised {
        for number in SUPERVISED {
            on(&mut program, IF_EQUAL, number as u32, NOTIFY);
        }
    }
    // Its flags are in memory, where a filter can't look: C libraries then use clone.
    on(&mut program, IF_EQUAL, libc::SYS_clone3 as u32, refuse(libc::ENOSYS));
    // A new user namespace would come with all capabilities.
    program.extend([
        jump(IF_EQUAL, libc::SYS_clone as u32, 0, 4),
        statement(LOAD, ARGUMENTS),
        jump(IF_ANY_BIT, libc::CLONE_NEWUSER as u32, 0, 1),
        statement(RETURN, refuse(libc::EPERM)),
        statement(RETURN, ALLOW),
    ]);
    // Typing into somebody else's terminal.
    program.extend([
        jump(IF_EQUAL, libc::SYS_ioctl as u32, 0, 4),
        statement(LOAD, ARGUMENTS + 8),
        jump(IF_EQUAL, libc::TIOCSTI as u32, 1, 0),
        jump(IF_EQUAL, TIOCLINUX, 0, 1),
        statement(RETURN, refuse(libc::EPERM)),
        statement(RETURN, ALLOW),
    ]);
    program
}

const TIOCLINUX: u32 = 0x541c;

/// Returns `action` on a match, and goes on otherwise.
fn on(program: &mut Vec<sock_filter>, condition: u16, operand: u32, action: u32) {
    program.extend([jump(condition, operand, 0, 1), statement(RETURN, action)]);
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a call: the kernel's interpreter, as far as the filter uses it.
    fn verdict(arch: u32, number: i64, arguments: [u64; 2], supervised: bool) -> u32 {
        let program = program(supervised);
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            match step.code {
                LOAD => {
                    accumulator = match step.k {
                        NUMBER => number as u32,
                        ARCH => arch,
                        ARGUMENTS => arguments[0] as u32,
                        _ => arguments[1] as u32,
                    }
                }
                IF_EQUAL => at += jump(accumulator == step.k),
                IF_ANY_BIT => at += jump(accumulator & step.k != 0),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn calls_are_allowed_refused_and_supervised() {
        let eperm = refuse(libc::EPERM);
        let cases = [
            (libc::SYS_read, [0, 0], ALLOW, ALLOW),
            (libc::SYS_fchownat, [0, 0], ALLOW, NOTIFY),
            (libc::SYS_setuid, [0, 0], ALLOW, NOTIFY),
            (libc::SYS_mount, [0, 0], eperm, eperm),
            (libc::SYS_keyctl, [0, 0], eperm, eperm),
            (libc::SYS_clone3, [0, 0], refuse(libc::ENOSYS), refuse(libc::ENOSYS)),
            (libc::SYS_clone, [0x11, 0], ALLOW, ALLOW),
            (libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0], eperm, eperm),
            (libc::SYS_ioctl, [0, libc::TIOCGWINSZ], ALLOW, ALLOW),
            (libc::SYS_ioctl, [0, libc::TIOCSTI], eperm, eperm),
            (libc::SYS_ioctl, [0, u64::from(TIOCLINUX)], eperm, eperm),
        ];
        for (number, arguments, plain, supervised) in cases {
            assert_eq!(verdict(ARCHITECTURE, number, arguments, false), plain, "{number}");
            assert_eq!(verdict(ARCHITECTURE, number, arguments, true), supervised, "{number}");
        }
        assert_eq!(verdict(0x4000_0003, libc::SYS_read, [0, 0], false), refuse(libc::ENOSYS));
    }
}
