//! The numbers of handshakes and certificates.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{Families, Metrics};
use crate::certificate::Certificate;
use crate::tls::Handshake;

#[derive(Debug)]
pub(super) struct Tls {
    handshakes: IntCounterVec,
    not_after: IntGaugeVec,
}

impl Families<'_> {
    pub(super) fn tls(&self) -> prometheus::Result<Tls> {
        Ok(Tls {
            handshakes: self.counters(
                "tls_handshakes_total",
                "TLS handshakes with clients, also failed ones.",
                &["result"],
            )?,
            not_after: self.gauges(
                "tls_cert_not_after_timestamp_seconds",
                "When a certificate expires.",
                &["name"],
            )?,
        })
    }
}

impl Metrics {
    pub(crate) fn shook_hands(&self, handshake: Handshake) {
        self.tls
            .handshakes
            .with_label_values(&[handshake.label()])
            .inc();
    }

    /// These are the certificates now. Of two by one name the one that ends first is shown.
    pub(crate) fn show_certificates(&self, certificates: &[Certificate]) {
        self.tls.not_after.reset();
        for certificate in certificates {
            let gauge = self.tls.not_after.with_label_values(&[certificate.label()]);
            let (known, new) = (gauge.get(), certificate.not_after_seconds());
            gauge.set(if known == 0 { new } else { known.min(new) });
        }
    }
}
