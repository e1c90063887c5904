//! Every call, and the roles that may make it. The one table of who may do what: the services' comments in proto/ say the same, and a test tries
//! every cell.

use super::principal::{Principal, Role};
use Role::{Auditor, EprSystem, Integrator, IpsWorker};

/// One call.
#[derive(Debug, PartialEq, Eq)]
pub struct Rpc {
    /// `Service/Call`, as in spans and hashes.
    pub name: &'static str,
    /// Who may. Of several roles a principal has, the first of these is the one it acts in, so those who see more come first.
    pub roles: &'static [Role],
}

impl Rpc {
    /// The role in which the principal makes this call.
    pub fn role_of(&self, principal: &Principal) -> Option<Role> {
        self.roles.iter().copied().find(|r| principal.roles.contains(r))
    }
}

const EVERYONE: &[Role] = &[IpsWorker, EprSystem, Auditor, Integrator];
const WRITERS: &[Role] = &[IpsWorker, EprSystem];
const OPERATORS: &[Role] = &[Integrator];
const FAR_ENDS: &[Role] = &[EprSystem];

macro_rules! calls {
    ($($name:ident = $path:literal, $roles:expr;)+) => {
        $(pub const $name: &Rpc = &Rpc { name: $path, roles: $roles };)+
        /// All of them.
        pub const ALL: &[&Rpc] = &[$($name),+];
    };
}

calls! {
    GET_PATIENT = "PatientService/GetPatient", EVERYONE;
    FIND_PATIENTS = "PatientService/FindPatients", EVERYONE;
    UPDATE_PATIENT = "PatientService/UpdatePatient", WRITERS;

    CREATE_REFERRAL = "ReferralService/CreateReferral", WRITERS;
    GET_REFERRAL = "ReferralService/GetReferral", EVERYONE;
    LIST_REFERRALS = "ReferralService/ListReferrals", EVERYONE;
    ACCEPT_REFERRAL = "ReferralService/AcceptReferral", WRITERS;
    DECLINE_REFERRAL = "ReferralService/DeclineReferral", WRITERS;
    ASSIGN_REFERRAL = "ReferralService/AssignReferral", WRITERS;
    CLOSE_REFERRAL = "ReferralService/CloseReferral", WRITERS;
    WATCH_REFERRALS = "ReferralService/WatchReferrals", EVERYONE;

    WRITE_PROGRESS_NOTE = "ProgressNoteService/WriteProgressNote", WRITERS;
    REPLACE_PROGRESS_NOTE = "ProgressNoteService/ReplaceProgressNote", WRITERS;
    WITHDRAW_PROGRESS_NOTE = "ProgressNoteService/WithdrawProgressNote", WRITERS;
    GET_PROGRESS_NOTE = "ProgressNoteService/GetProgressNote", EVERYONE;
    LIST_PROGRESS_NOTES = "ProgressNoteService/ListProgressNotes", EVERYONE;

    RECORD_OUTCOME = "OutcomeService/RecordOutcome", WRITERS;
    CORRECT_OUTCOME = "OutcomeService/CorrectOutcome", WRITERS;
    WITHDRAW_OUTCOME = "OutcomeService/WithdrawOutcome", WRITERS;
    GET_OUTCOME = "OutcomeService/GetOutcome", EVERYONE;
    LIST_OUTCOMES = "OutcomeService/ListOutcomes", EVERYONE;
    GET_SERVICE_MEASURES = "OutcomeService/GetServiceMeasures", EVERYONE;
    LIST_MEASURE_REFERRALS = "OutcomeService/ListMeasureReferrals", EVERYONE;

    GET_DELIVERY = "DeliveryService/GetDelivery", EVERYONE;
    LIST_DELIVERIES = "DeliveryService/ListDeliveries", EVERYONE;
    WATCH_DELIVERIES = "DeliveryService/WatchDeliveries", EVERYONE;
    LIST_ATTEMPTS = "DeliveryService/ListAttempts", &[IpsWorker, Auditor, EprSystem, Integrator];
    RETRY_DELIVERIES = "DeliveryService/RetryDeliveries", OPERATORS;
    RERENDER_DELIVERY = "DeliveryService/RerenderDelivery", OPERATORS;
    PARK_DELIVERY = "DeliveryService/ParkDelivery", OPERATORS;
    CANCEL_DELIVERY = "DeliveryService/CancelDelivery", OPERATORS;
    BACKFILL_DELIVERIES = "DeliveryService/BackfillDeliveries", OPERATORS;
    RECONCILE_DOCUMENTS = "DeliveryService/ReconcileDocuments", OPERATORS;
    EXPORT_DELIVERIES = "DeliveryService/ExportDeliveries", &[IpsWorker, Auditor];
    GET_ENDPOINT_STATUS = "DeliveryService/GetEndpointStatus", EVERYONE;
    PAUSE_ENDPOINT = "DeliveryService/PauseEndpoint", OPERATORS;
    RESUME_ENDPOINT = "DeliveryService/ResumeEndpoint", OPERATORS;

    STREAM_ENTRIES = "RecordFeedService/StreamEntries", FAR_ENDS;
    CONFIRM_RECEIVED = "RecordFeedService/ConfirmReceived", FAR_ENDS;
    REPORT_FILED = "RecordFeedService/ReportFiled", FAR_ENDS;
    REPORT_REFUSED = "RecordFeedService/ReportRefused", FAR_ENDS;

    LIST_INBOUND_MESSAGES = "InboundService/ListInboundMessages", EVERYONE;
    GET_INBOUND_MESSAGE = "InboundService/GetInboundMessage", EVERYONE;
    REPROCESS_INBOUND_MESSAGE = "InboundService/ReprocessInboundMessage", OPERATORS;
    // A message makes patients and referrals: the EPR it is of says so, not those who operate the machinery.
    SUBMIT_MESSAGE = "InboundService/SubmitMessage", FAR_ENDS;

    LIST_ADAPTERS = "AdapterService/ListAdapters", OPERATORS;
    PREVIEW_ENTRY = "AdapterService/PreviewEntry", &[IpsWorker, Integrator];
    PREVIEW_MESSAGE = "AdapterService/PreviewMessage", OPERATORS;
    COMPARE_ADAPTER = "AdapterService/CompareAdapter", &[IpsWorker, Integrator];
    ACTIVATE_ADAPTER = "AdapterService/ActivateAdapter", OPERATORS;
    ROLLBACK_ADAPTER = "AdapterService/RollbackAdapter", OPERATORS;
}
