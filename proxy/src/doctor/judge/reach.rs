//! Is there anybody: name, address, certificate, and does Socket.IO answer at this path?

use crate::doctor::finding::Finding;
use crate::doctor::packet::{Refused, Revision};
use crate::doctor::seen::{Address, Answer, Certificate, Fault, Reply, Seen};

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![address(seen)];
    findings.extend(
        seen.certificate
            .as_ref()
            .map(|seen_of_it| certificate(seen_of_it, &seen.target.host)),
    );
    findings.extend(seen.opening.as_ref().map(|reply| path(seen, reply)));
    findings
}

fn address(seen: &Seen) -> Finding {
    let Address {
        fault,
        refused,
        used,
    } = &seen.address;
    let host = &seen.target.host;
    if let Some(fault) = fault {
        return Finding::problem("address", format!("{host} has no address: {fault}"))
            .means("No client finds it.")
            .change("Check the spelling, and the name's records in DNS.");
    }
    let tried: Vec<String> = refused
        .iter()
        .map(|(address, why)| format!("{address}: {why}"))
        .collect();
    let tried = tried.join(", ");
    match used {
        Some(address) if refused.is_empty() => {
            Finding::ok("address", format!("{address} accepts connections"))
        }
        Some(address) => Finding::warning("address", format!("{address} accepts, but {tried}"))
            .means("Clients that try the other address first wait, or fail.")
            .change(format!(
                "Take the dead address out of DNS, or listen on it. If only this machine cannot reach it, \
                 all is well: {host} may have an IPv6 address and this machine none."
            )),
        None => Finding::problem("address", format!("nobody accepts connections: {tried}"))
            .means("Nothing listens there, or a firewall is between.")
            .change("Check that the proxy runs, listens on this port and on an address other than 127.0.0.1, and that the port is open."),
    }
}

fn certificate(certificate: &Certificate, host: &str) -> Finding {
    let refuse = |why: String| {
        Finding::problem("certificate", why).means(
            "Browsers and native clients refuse the connection before they send anything. What follows was examined nevertheless.",
        )
    };
    match certificate {
        Certificate::Good => Finding::ok("certificate", format!("valid for {host} and trusted")),
        Certificate::ExpiresSoon => {
            Finding::warning("certificate", "valid, but it expires within 14 days")
                .means("Renewal usually happens 30 days before the end, so it may have failed.")
                .change("Look at the renewal's log, and that the proxy is reloaded after it.")
        }
        Certificate::Expired => refuse("the certificate has expired".to_owned())
            .change("Renew it, and reload the proxy so that it takes the new file."),
        Certificate::NotYetValid => {
            refuse("the certificate is not valid yet".to_owned()).change("Check the clocks here and there.")
        }
        Certificate::WrongName(names) => {
            let names = match names.as_slice() {
                [] => "another name".to_owned(),
                names => names.join(", "),
            };
            refuse(format!("the certificate is for {names}, not for {host}"))
                .change(format!("Serve a certificate with the name {host}, or use a name that it has."))
        }
        Certificate::Untrusted => refuse(
            "the certificate is signed by nobody whom this machine trusts: it is self-signed, of a private \
             authority, or sent without the certificates between"
                .to_owned(),
        )
        .change("Serve the full chain (fullchain.pem, not cert.pem) of a public authority. For a private one, add it to the trusted ones here; --insecure leaves the check out."),
        Certificate::Other(why) => refuse(format!("the certificate is refused: {why}")),
        Certificate::NotChecked(why) => Finding::unknown("certificate", format!("not checked: {why}")),
    }
}

/// What to say where the first handshake was none.
fn path(seen: &Seen, reply: &Reply) -> Finding {
    let path = &seen.target.path;
    let answer = match reply {
        Ok(answer) => answer,
        Err(fault) => return no_answer(fault),
    };
    if let Some(open) = answer.open() {
        return match open.revision {
            Revision::Four => Finding::ok("path", format!("Socket.IO 3 or 4 answers at {path}")),
            Revision::Three => Finding::warning(
                "path",
                format!("a server of Socket.IO 2 answers at {path}, also to clients of today"),
            )
            .means("Clients of version 3 and 4 cannot talk to it.")
            .change(
                "Use clients of version 2, or update the server and set allowEIO3 for old clients.",
            ),
        };
    }
    if let Some(refused) = answer.refused() {
        return refused_handshake(refused, answer);
    }
    if let Some(other) = &seen.other_path {
        return Finding::problem("path", format!("{answer} at {path}, but Socket.IO answers at {other}"))
            .means("Clients that ask at this path find nothing.")
            .change(format!(
                "Give clients the option path: \"{other}\", or route {path} to the servers. Examine it with --path {other}"
            ));
    }
    no_handshake(seen, answer)
}

fn no_answer(fault: &Fault) -> Finding {
    let finding = Finding::problem("path", format!("the handshake got no answer: {fault}"));
    match fault {
        Fault::Tls(_) => finding
            .means("No TLS connection comes about.")
            .change("Check that this port speaks TLS (or write http://), and that it allows TLS 1.2 or 1.3."),
        Fault::Silent(_) => finding
            .means("The connection is accepted, and then nobody answers: the servers behind hang, or a firewall drops.")
            .change("Ask a server behind the proxy directly, and look at the proxy's log."),
        Fault::Broken(_) | Fault::Unreachable(_) => finding
            .means("Whoever listens there does not speak HTTP, or gives up.")
            .change("Check the port, and whether it wants https://."),
    }
}

fn refused_handshake(refused: Refused, answer: &Answer) -> Finding {
    match refused {
        Refused::TransportUnknown => {
            Finding::ok("path", "Socket.IO answers; polling is switched off there, so WebSockets are all there is")
        }
        Refused::Forbidden => Finding::problem("path", format!("Socket.IO refuses the handshake: {answer}"))
            .means("The server's allowRequest says no to a client without the app's credentials or origin.")
            .change("Nothing, if strangers shall be refused. To examine further, give --origin, or allow this machine."),
        Refused::Version => Finding::problem("path", format!("Socket.IO refuses the protocol's version: {answer}"))
            .means("Clients and server are of different generations.")
            .change("Use clients of the server's major version, or set allowEIO3 on the server."),
        Refused::SessionUnknown | Refused::HandshakeMethod | Refused::BadRequest => {
            Finding::problem("path", format!("Socket.IO refuses a correct handshake: {answer}"))
                .means("Something between changes the request: its query is lost, or its method.")
                .change("Let the proxy pass the query on (nginx: a proxy_pass without a URI, or with $is_args$args).")
        }
    }
}

/// An answer that is not Engine.IO's at all.
fn no_handshake(seen: &Seen, answer: &Answer) -> Finding {
    let path = &seen.target.path;
    let finding = Finding::problem("path", format!("no Socket.IO at {path}: {answer}"));
    match answer.status {
        301 | 302 | 303 | 307 | 308 => {
            let to = answer.header("location").unwrap_or("nowhere");
            Finding::problem("path", format!("{} redirects to {to}", answer.status))
                .means("Polling in browsers follows, but a WebSocket never does, and most native clients do not.")
                .change("Give clients the address where it ends, and examine that one.")
        }
        400 if answer.body.contains("HTTPS port") => finding
            .means("This port speaks TLS.")
            .change("Write https:// instead of http://."),
        401 | 407 => finding
            .means("A proxy asks for a login before it lets anybody through, which no Socket.IO client answers.")
            .change("Except the path from it, and let the app decide."),
        403 => finding
            .means("Somebody before the server forbids it: a firewall for web applications, or an access list.")
            .change(format!("Allow {path} there, for GET, POST and OPTIONS.")),
        404 | 405 => finding
            .means("No route leads to a Socket.IO server, or the server has another path.")
            .change("Name the right one with --path, or route this one; look at the option path of the server."),
        429 => finding.means("Too many requests from here.").change("Wait, or lift the limit for this machine."),
        502 => finding
            .means("The proxy reaches no server.")
            .change("Check that the servers run where the proxy looks for them; its log says which it tried."),
        503 => finding
            .means("The proxy has no server that may serve, or a limit is reached.")
            .change("Check the servers' health checks and the limits."),
        504 => finding
            .means("The server behind does not answer in time.")
            .change("Ask it directly, and look at its load."),
        200..=299 => finding
            .means("Something else answers, such as a web page for every path that is not known.")
            .change("Route the path to the Socket.IO servers before everything else, or name the right one with --path."),
        _ => finding
            .means("The answer is not one of Engine.IO.")
            .change("Look at the log of the server that gave it."),
    }
}
