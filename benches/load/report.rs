//! The table.

use crate::authority::nodes;
use crate::clients::{CONNECTIONS, IN_FLIGHT};
use crate::contended::{self, OPENERS, PROVERS, Race};

/// Rates, a second, by round.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) echo_check: Vec<f64>,
    pub(crate) check: Vec<f64>,
    pub(crate) echo_batches: Vec<f64>,
    pub(crate) batches: Vec<f64>,
    pub(crate) echo_signed: Vec<f64>,
    pub(crate) signed: Vec<f64>,
    pub(crate) challenge: Vec<f64>,
    pub(crate) echo_prove: Vec<f64>,
    pub(crate) prove: Vec<f64>,
    pub(crate) first_prove: Vec<f64>,
    pub(crate) offer: Vec<f64>,
    pub(crate) echo_certificate: Vec<f64>,
    pub(crate) certificate: Vec<f64>,
    pub(crate) signatures: Vec<f64>,
    pub(crate) renewal: Vec<f64>,
    pub(crate) enroll: Vec<f64>,
    /// Bytes that the database wrote ahead for a proof; none where there is no database.
    pub(crate) wal: Vec<f64>,
    pub(crate) races: [Race; contended::DEVICES],
}

impl Measured {
    pub(crate) fn print(&self, devices: usize) {
        let rounds = self.check.len();
        println!(
            "{CONNECTIONS} connections, {} calls in flight, {devices} devices, {rounds} rounds; medians, least and most",
            CONNECTIONS * IN_FLIGHT
        );
        self.print_verdicts();
        if !self.prove.is_empty() {
            self.print_others();
        }
    }

    fn print_verdicts(&self) {
        rate("echo, as large as Check", &self.echo_check);
        rate("Check by device id", &self.check);
        rate("echo, as large as CheckStream: verdicts", &self.echo_batches);
        rate("CheckStream, 1,024 at a time: verdicts", &self.batches);
        rate("echo that signs, as large as a receipt", &self.echo_signed);
        rate("Check with a receipt", &self.signed);
        bar("Check / echo", median(&ratios(&self.check, &self.echo_check)), 0.85);
        bar("CheckStream / echo", median(&ratios(&self.batches, &self.echo_batches)), 0.5);
        bar("verdicts a second on streams", median(&self.batches), 1_000_000.0);
        bar("Check with a receipt / echo that signs", median(&ratios(&self.signed, &self.echo_signed)), 0.8);
    }

    fn print_others(&self) {
        rate("GetChallenge (beside, not in the proofs)", &self.challenge);
        rate("echo, as large as Prove", &self.echo_prove);
        rate("Prove `authenticate`, durable", &self.prove);
        rate("the same, each device's first one", &self.first_prove);
        rate("Prove `update-offer`, durable", &self.offer);
        rate("echo, as large as a certificate", &self.echo_certificate);
        rate("Prove `certificate`, durable", &self.certificate);
        rate("verifying its CSR and signing alone", &self.signatures);
        rate("renewed by the certificate (EST), durable", &self.renewal);
        rate("devices enrolled and confirmed, durable", &self.enroll);
        if !self.wal.is_empty() {
            println!("{} nodes; {:.0} bytes written ahead for a proof", nodes(), median(&self.wal));
        }
        println!(
            "  (proofs: the authority has the devices' keys at hand from an earlier one, except for the first, for which it reads"
        );
        println!(
            "  them and walks down a whole epoch tree; enrollment: a stream a connection, without the devices' own work)"
        );
        println!("one device, so many calls of it in flight, none of them sent again; granted, durable");
        let proving = PROVERS.map(|(callers, _)| ("Prove `authenticate`", callers));
        let opening = OPENERS.map(|(callers, _)| ("Open", callers));
        for ((what, callers), race) in proving.into_iter().chain(opening).zip(&self.races) {
            rate(&format!("{what}, {callers} at a time"), &race.granted);
            println!("{:<42} {}", "", race.refusals());
        }
        bar("Prove / echo", median(&ratios(&self.prove, &self.echo_prove)), 0.42);
        let (beside_check, beside_prove) =
            (ratios(&self.offer, &self.check), ratios(&self.offer, &self.prove));
        let (beside_check, beside_prove) = (median(&beside_check), median(&beside_prove));
        println!("     offers / Check: {beside_check:.2}, offers / Prove: {beside_prove:.2}, no bar");
        let certificates = median(&ratios(&self.certificate, &self.echo_certificate));
        println!("     certificate / echo: {certificates:.2}, no bar");
        bar("certificate / signatures alone", median(&ratios(&self.certificate, &self.signatures)), 0.55);
        bar("renewal / certificate", median(&ratios(&self.renewal, &self.certificate)), 1.5);
        bar("devices enrolled a second", median(&self.enroll), 8_000.0);
    }
}

fn rate(what: &str, rates: &[f64]) {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    println!("{what:<42} {:>9.0}/s   {least:>9.0} {most:>9.0}", median(rates));
}

fn bar(what: &str, value: f64, bar: f64) {
    let verdict = if value >= bar { "PASS" } else { "FAIL" };
    let digits = if bar < 10.0 { 2 } else { 0 };
    println!("{verdict} {what}: {value:.digits$}, bar {bar:.digits$}");
}

fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
