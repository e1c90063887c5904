//! Each measure in words, with its source, as it stands beside the number.

use super::MeasureKind;

impl MeasureKind {
    /// What the number counts. Sources: NHS England, MHSDS mental health monthly statistics (MHS116) and its IPS dashboard; IPS Grow, key
    /// performance and outcome framework, reporting tool, and policy note on employment rates.
    pub fn definition(self) -> &'static str {
        match self {
            Self::AccessedNhse => {
                "Referrals with at least one direct contact in the period: attended, and face to face, by telephone, talk type or video. \
                 Referrals are counted, not people; e-mails, text messages and contacts not held do not count. \
                 Source: NHS England, MHS116."
            }
            Self::AccessedIpsGrow => {
                "Referrals for which, in the period, both stood for the first time: work on the vocational profile had started and the client \
                 had confirmed that they want to go on. Source: IPS Grow, key performance and outcome framework."
            }
            Self::FirstContactWithin7Days => {
                "Of referrals received in the period that have a direct contact on the day of receipt or later, whenever that was: the first of these \
                 within 7 days of receipt. Contacts before the day of receipt do not count. Source: NHS England, IPS dashboard."
            }
            Self::FirstContact8To30Days => {
                "Of referrals received in the period that have a direct contact on the day of receipt or later, whenever that was: the first of these \
                 8 to 30 days after receipt. Contacts before the day of receipt do not count. Source: NHS England, IPS dashboard."
            }
            Self::FirstContactAfter30Days => {
                "Of referrals received in the period that have a direct contact on the day of receipt or later, whenever that was: the first of these \
                 more than 30 days after receipt. Contacts before the day of receipt do not count. Source: NHS England, IPS dashboard."
            }
            Self::FirstEmployerContactWithin30Days => {
                "Of referrals accepted in the period: the first face-to-face contact with an employer on the day of acceptance or within the 30 days \
                 after it, whenever these end; contacts before the day of acceptance do not count; referrals accepted less than 30 days ago are in \
                 the second number already. Source: IPS fidelity, rapid job search."
            }
            Self::PeopleIntoWork => {
                "People whose first job start in the trust lies in the period, each person once, whatever the number of jobs or referrals, and for \
                 the team whose referral that job belongs to: the teams add up to the trust. A job start counts \
                 from the day four paid hours had been worked; placements, voluntary work and jobs kept are not job starts. \
                 Source: IPS Grow, reporting tool."
            }
            Self::JobStarts => {
                "All job starts in the period, second and concurrent jobs included, competitive or not. A job start counts from the day four paid \
                 hours had been worked; placements, voluntary work and jobs kept are not job starts. Source: IPS Grow, reporting tool."
            }
            Self::EmploymentRate => {
                "Of all referrals with a direct contact by the period's end whose client was out of work when referred: those with a job start by \
                 the period's end. Clients in work, and clients whose employment is not known or not stated, are in neither number. \
                 Source: IPS Grow, policy note on employment rates (from April 2024)."
            }
            Self::RetentionShare => {
                "Of the caseload at the period's end: job retention referrals, employed when referred but off sick or at risk. Recommended: at most \
                 15 %. Source: IPS Grow, reporting tool."
            }
            Self::ActiveIn4Weeks => {
                "Of the caseload at the period's end: a contact held in the last 28 days of the period, by whatever mechanism, and engaged in a vocational \
                 action plan by the latest note on it. Source: IPS Grow, key performance and outcome framework."
            }
            Self::ProfileStarted => {
                "Referrals whose vocational profile was started in the period, whether or not the client is committed yet. \
                 Source: IPS Grow, reporting tool."
            }
            Self::Sustained13Weeks => {
                "Of job starts whose 13 weeks (91 days from the first day of work) end in the period: those confirmed as still in work on that day or later. \
                 Derived from confirmations; a job that ended before, or that nobody confirmed, is not sustained. Jobs whose 13 weeks are not over yet \
                 are in neither number. Source: IPS Grow, key performance and outcome framework."
            }
            Self::Sustained26Weeks => {
                "Of job starts whose 26 weeks (182 days from the first day of work) end in the period: those confirmed as still in work on that day or later. \
                 Derived from confirmations; a job that ended before, or that nobody confirmed, is not sustained. Jobs whose 26 weeks are not over yet \
                 are in neither number. Source: local milestone, no national definition."
            }
            Self::Caseload => {
                "Referrals accepted and not closed at the period's end, by the specialist who had them then. Source: IPS Grow, reporting tool; \
                 supported employment fidelity scale (caseload of 20 or fewer)."
            }
            Self::ReferralsReceived => {
                "Referrals received in the period, whatever became of them. Source: MHSDS, REFERRAL REQUEST RECEIVED DATE."
            }
        }
    }
}
