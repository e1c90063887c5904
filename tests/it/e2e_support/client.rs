//! What tests ask of a running bridge over gRPC.

use super::*;

impl Client {
    pub fn new(grpc: SocketAddr, clock: Arc<dyn Clock>) -> Self {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
        Self {
            channel: endpoint.connect_timeout(Duration::from_secs(2)).timeout(Duration::from_secs(20)).connect_lazy(),
            clock,
        }
    }

    pub fn deliveries(&self) -> v1::delivery_service_client::DeliveryServiceClient<Channel> {
        v1::delivery_service_client::DeliveryServiceClient::new(self.channel.clone())
            .max_decoding_message_size(64 << 20)
    }

    pub fn adapters(&self) -> v1::adapter_service_client::AdapterServiceClient<Channel> {
        v1::adapter_service_client::AdapterServiceClient::new(self.channel.clone())
    }

    pub fn notes(&self) -> v1::progress_note_service_client::ProgressNoteServiceClient<Channel> {
        v1::progress_note_service_client::ProgressNoteServiceClient::new(self.channel.clone())
    }

    pub fn referrals(&self) -> v1::referral_service_client::ReferralServiceClient<Channel> {
        v1::referral_service_client::ReferralServiceClient::new(self.channel.clone())
    }

    pub fn inbound(&self) -> v1::inbound_service_client::InboundServiceClient<Channel> {
        v1::inbound_service_client::InboundServiceClient::new(self.channel.clone())
    }

    pub fn patients(&self) -> v1::patient_service_client::PatientServiceClient<Channel> {
        v1::patient_service_client::PatientServiceClient::new(self.channel.clone())
    }

    /// The nth person of the test, referred to the endpoint's team and accepted.
    pub async fn person(&self, nth: usize, endpoint: &str) -> Person {
        self.person_like(details(nth), endpoint).await
    }

    pub async fn person_like(&self, details: v1::PatientDetails, endpoint: &str) -> Person {
        let request = v1::CreateReferralRequest {
            request_id: request_id(),
            trust_ods: TRUST.into(),
            patient: Some(v1::create_referral_request::Patient::PatientDetails(details.clone())),
            details: Some(v1::ReferralDetails {
                source_code: "P1".into(),
                priority: v1::ReferralPriority::Routine.into(),
                referrer_name: "Dr Test".into(),
                team: endpoint.into(),
                employment_status: v1::EmploymentStatus::SeekingWork.into(),
                ..Default::default()
            }),
            received_at: None,
            other_family_names: Vec::new(),
            location_shielded: false,
            patient_deceased: false,
        };
        let referral = self
            .referrals()
            .create_referral(request)
            .await
            .expect("a referral")
            .into_inner()
            .referral
            .expect("a referral");
        let accept = v1::AcceptReferralRequest {
            request_id: request_id(),
            referral_id: referral.id.clone(),
            assigned_to: Some(author()),
            author: Some(author()),
        };
        self.referrals().accept_referral(accept).await.expect("accepted");
        Person { patient_id: referral.patient_id, referral_id: referral.id, details }
    }

    pub async fn people(&self, numbers: std::ops::Range<usize>, endpoint: &str) -> Vec<Person> {
        futures::future::join_all(numbers.map(|n| self.person(n, endpoint))).await
    }

    pub fn content(&self, text: &str) -> v1::NoteContent {
        let occurred_at = self.clock.now() - jiff::SignedDuration::from_secs(60);
        v1::NoteContent {
            occurred_at: Some(wire::Timestamp::from(occurred_at)),
            text: text.into(),
            contact: Some(v1::Contact {
                mechanism: v1::ContactMechanism::Telephone.into(),
                attendance: v1::Attendance::AttendedOnTime.into(),
                mode: v1::ContactMode::Individual.into(),
                duration_minutes: Some(20),
                ..Default::default()
            }),
            kind: Some(v1::note_content::Kind::JobSearch(v1::JobSearch {})),
            sensitivity: Some(v1::Sensitivity::default()),
            ..Default::default()
        }
    }

    pub fn note(&self, person: &Person, text: &str) -> v1::WriteProgressNoteRequest {
        v1::WriteProgressNoteRequest {
            request_id: request_id(),
            referral_id: person.referral_id.clone(),
            expected_patient: Some(person.expected()),
            author: Some(author()),
            content: Some(self.content(text)),
            release_after: None,
        }
    }

    pub async fn try_write(&self, request: v1::WriteProgressNoteRequest) -> Result<Written, Status> {
        let answer = self.notes().write_progress_note(request).await?.into_inner();
        Ok(Written::of(answer.note, answer.deliveries))
    }

    pub async fn write(&self, person: &Person, text: &str) -> Written {
        self.try_write(self.note(person, text)).await.expect("the note breaks no rule")
    }

    pub async fn replace(&self, written: &Written, person: &Person, text: &str) -> Written {
        let request = v1::ReplaceProgressNoteRequest {
            request_id: request_id(),
            note_id: written.note.id.clone(),
            version_seen: written.note.version,
            expected_patient: Some(person.expected()),
            author: Some(author()),
            content: Some(self.content(text)),
            reason: "Wrong hours".into(),
            release_after: None,
        };
        let answer = self.notes().replace_progress_note(request).await.expect("replaced").into_inner();
        Written::of(answer.note, answer.deliveries)
    }

    /// The withdrawal's delivery; none where there is nothing to take back.
    pub async fn withdraw(&self, written: &Written) -> Option<v1::Delivery> {
        let request = v1::WithdrawProgressNoteRequest {
            request_id: request_id(),
            note_id: written.note.id.clone(),
            version_seen: written.note.version,
            author: Some(author()),
            reason: v1::WithdrawReason::WrittenInError.into(),
            explanation: None,
        };
        let answer = self.notes().withdraw_progress_note(request).await.expect("withdrawn").into_inner();
        answer.deliveries.into_iter().find(|d| d.entry_action == i32::from(v1::EntryAction::Withdraw))
    }

    pub async fn delivery(&self, id: &str) -> v1::Delivery {
        let request = v1::GetDeliveryRequest { delivery_id: id.to_owned() };
        self.deliveries()
            .get_delivery(request)
            .await
            .expect("the delivery")
            .into_inner()
            .delivery
            .expect("the delivery")
    }

    /// Waits until a delivery is as wanted.
    #[track_caller]
    pub fn until(
        &self,
        id: &str,
        what: &str,
        wanted: impl Fn(&v1::Delivery) -> bool,
    ) -> impl Future<Output = v1::Delivery> {
        let asked_at = std::panic::Location::caller();
        async move {
            let end = Instant::now() + PATIENCE;
            loop {
                let delivery = self.delivery(id).await;
                if wanted(&delivery) {
                    return delivery;
                }
                assert!(Instant::now() < end, "{asked_at}: waited in vain for {what}; it is {}", shown(&delivery));
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    #[track_caller]
    pub fn until_state(&self, id: &str, state: State) -> impl Future<Output = v1::Delivery> {
        self.until(id, state.as_str_name(), move |d| d.state() == state)
    }

    /// Waits for FILED; PARKED fails at once.
    #[track_caller]
    pub fn filed(&self, id: &str) -> impl Future<Output = v1::Delivery> {
        let asked_at = std::panic::Location::caller();
        let until = self.until(id, "FILED", |d| matches!(d.state(), State::Filed | State::Parked | State::Cancelled));
        async move {
            let delivery = until.await;
            assert_eq!(delivery.state(), State::Filed, "{asked_at}: {}", shown(&delivery));
            delivery
        }
    }

    #[track_caller]
    pub fn parked(&self, id: &str, reason: v1::ParkReason) -> impl Future<Output = v1::Delivery> {
        let asked_at = std::panic::Location::caller();
        let until = self
            .until(id, reason.as_str_name(), |d| matches!(d.state(), State::Filed | State::Parked | State::Cancelled));
        async move {
            let delivery = until.await;
            assert_eq!(
                (delivery.state(), delivery.park_reason()),
                (State::Parked, reason),
                "{asked_at}: {}",
                shown(&delivery)
            );
            delivery
        }
    }

    pub async fn attempts(&self, id: &str) -> Vec<v1::Attempt> {
        let request = v1::ListAttemptsRequest { delivery_id: id.to_owned(), include_bytes: true };
        self.deliveries().list_attempts(request).await.expect("attempts").into_inner().attempts
    }

    /// Every delivery there is.
    pub async fn all(&self) -> Vec<v1::Delivery> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListDeliveriesRequest { page_size: 200, page_token, ..Default::default() };
            let page = self.deliveries().list_deliveries(request).await.expect("a page").into_inner();
            all.extend(page.deliveries);
            if page.next_page_token.is_empty() {
                return all;
            }
            page_token = page.next_page_token;
        }
    }

    /// Waits until nothing is open but what is as wanted; gives every delivery.
    pub async fn settled(&self, within: Duration, rests: impl Fn(&v1::Delivery) -> bool) -> Vec<v1::Delivery> {
        let end = Instant::now() + within;
        loop {
            let all = self.all().await;
            let open: Vec<_> = all.iter().filter(|d| !rests(d)).collect();
            if open.is_empty() {
                return all;
            }
            assert!(
                Instant::now() < end,
                "{} of {} deliveries do not come to rest, the first: {}",
                open.len(),
                all.len(),
                shown(open[0])
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub async fn endpoint(&self, id: &str) -> v1::EndpointStatus {
        let request = v1::GetEndpointStatusRequest { endpoint_id: id.into() };
        self.deliveries().get_endpoint_status(request).await.expect("the status").into_inner().endpoints.remove(0)
    }

    pub async fn pause(&self, endpoint: &str) {
        let request = v1::PauseEndpointRequest {
            request_id: request_id(),
            endpoint_id: endpoint.into(),
            reason: "a test".into(),
        };
        self.deliveries().pause_endpoint(request).await.expect("paused");
    }

    pub async fn resume(&self, endpoint: &str) {
        let request = v1::ResumeEndpointRequest {
            request_id: request_id(),
            endpoint_id: endpoint.into(),
            reason: "a test".into(),
        };
        self.deliveries().resume_endpoint(request).await.expect("resumed");
    }
}
