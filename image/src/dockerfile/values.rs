//! Checks of values that are known only when their variables are.

use super::expand::Budget;

/// `80`, `8000-8002/tcp`: each port as `80/tcp`.
pub(super) fn ports(text: &str, budget: &mut Budget) -> Result<Vec<String>, String> {
    let error = || format!("EXPOSE takes ports such as 80, 53/udp or 8000-8002/tcp, not {text:?}");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(error());
    }
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or_else(error)
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(range)?, port(range)?),
    };
    if first > last {
        return Err(error());
    }
    budget.bytes(usize::from(last - first) * "65535/sctp".len())?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// The names of Linux's signals, without `SIG` (signal(7)).
const SIGNALS: [&str; 35] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "UNUSED", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// A name or a number of a signal.
pub(super) fn signal(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = |text: &str, least: u8, most: u8| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits && text.parse::<u8>().is_ok_and(|number| (least..=most).contains(&number))
    };
    let realtime = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) | (_, Some("")) => true,
        (Some(rest), _) => rest.strip_prefix('+').is_some_and(|rest| number(rest, 0, 30)),
        (_, Some(rest)) => rest.strip_prefix('-').is_some_and(|rest| number(rest, 0, 30)),
        _ => false,
    };
    match SIGNALS.contains(&name) || realtime || number(text, 1, 64) {
        true => Ok(()),
        false => Err(format!("STOPSIGNAL takes a signal such as SIGTERM or 15, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_ranges_and_protocols() {
        let read = |text: &str| ports(text, &mut Budget::default());
        assert_eq!(read("80").unwrap(), ["80/tcp"]);
        assert_eq!(read("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(read("8000-8002/sctp").unwrap(), ["8000/sctp", "8001/sctp", "8002/sctp"]);
        assert_eq!(read("1-65535").unwrap().len(), 65535);
        for bad in ["", "0", "65536", "+1", "2-1", "80/", "80/icmp", "a", "8080:80", "1-", "-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for good in ["SIGTERM", "term", "15", "SIGRTMIN+3", "RTMAX-14", "rtmin", "64"] {
            assert_eq!(signal(good), Ok(()), "{good}");
        }
        for bad in ["", "SIGFOO", "0", "65", "SIG", "-1", "+1", "RTMIN-1", "RTMAX-31", "SIG15"] {
            assert!(signal(bad).is_err(), "{bad}");
        }
    }
}
