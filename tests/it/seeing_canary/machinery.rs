//! The domain, the outbox and the listener, with canaries in everything.

use super::*;

/// Fields that break their rules, as a caller of the API would send them.
pub(super) fn exercise_forms(heard: &Heard) {
    let today = "2026-03-02".parse().unwrap();
    let name = |family: &str| v1::PersonName {
        family: family.into(),
        given: format!("{GIVEN}\u{7}"),
        prefix: Some("x".repeat(200) + PREFIX),
    };
    let details = v1::PatientDetails {
        nhs_number: Some(WRONG_NHS.into()),
        name: Some(name(&FAMILY.repeat(50))),
        date_of_birth: format!("{BORN} or so"),
        gender: 99,
        address: Some(v1::Address {
            lines: vec![STREET.repeat(100)],
            postcode: Some(format!("{POSTCODE}\n")),
            ..Default::default()
        }),
        phone: Some(PHONE.repeat(30)),
        local_identifiers: vec![v1::LocalIdentifier { value: format!("{LOCAL} {LOCAL}"), ..Default::default() }],
        ..Default::default()
    };
    let mut broken = Violations::default();
    assert!(form::patient::read_and_check(&details, "details", today, &mut broken).is_none());
    let author = v1::Author {
        staff_id: format!("{AUTHOR} with a space"),
        display_name: AUTHOR.repeat(50),
        organisation_ods: AUTHOR.into(),
        ..Default::default()
    };
    assert!(form::person::read_author(&author, "author", &mut broken).is_none());
    let expected = v1::ExpectedPatient {
        nhs_number: WRONG_NHS.into(),
        date_of_birth: BORN.replace('-', "/"),
        family_name: FAMILY.repeat(50),
    };
    assert!(form::person::read_expected_patient(&expected, "expected_patient", &mut broken).is_none());
    let content = v1::NoteContent { text: format!("{TEXT}\u{b}"), ..Default::default() };
    assert!(form::note::read(&content, "content", &mut broken).is_none());
    assert!(
        form::referral::read(
            &v1::ReferralDetails { team: REFERRER.repeat(9), referrer_name: REFERRER.repeat(99), ..Default::default() },
            "details",
            &mut broken
        )
        .is_none()
    );
    assert!(form::request::request_id(TEXT, &mut broken).is_none());
    assert!(form::request::day(BORN, "from", &mut Violations::default()).is_some());
    assert!(form::request::id::<PatientId>(LOCAL, "patient_id", &mut broken).is_none());
    heard.broken(&broken);
    heard.refused(NhsNumber::parse(WRONG_NHS));
    heard.refused(serde_json::from_str::<NhsNumber>(&format!("\"{WRONG_NHS}\"")));
}

/// Writes of every kind that the rules do not allow.
pub(super) async fn exercise_writes(bridge: &Bridge, heard: &Heard) {
    let mut wrong = bridge.note(TEXT);
    wrong.expected.nhs_number = Some(NhsNumber::parse(OTHER_NHS).unwrap());
    heard.refused(bridge.try_write(wrong).await);
    let mut unapproached = bridge.note(TEXT);
    unapproached.content.kind = employer_contact();
    heard.refused(bridge.try_write(unapproached).await);

    let note = bridge.note(TEXT);
    let again = bridge.note(&format!("{TEXT}, again"));
    let (request, other) = (note.call.request.clone().unwrap(), again.call.request.clone().unwrap());
    let written = bridge.try_write(note).await.unwrap();
    let mut reused = again;
    reused.call.request = Some(ips_bridge::store::record::RequestKey { key: request.key, content: other.content });
    heard.refused(bridge.try_write(reused).await);

    // The same external id; the same numbers under another name; a number that another patient has.
    let mut unlike = canary_patient(NHS);
    unlike.name.family = Private(format!("{FAMILY}son"));
    heard.refused(bridge.create_referral(unlike, referral()).await);
    heard.refused(bridge.create_referral(canary_patient(NHS), canary_referral()).await);
    let other = bridge.create_referral(canary_patient_with(OTHER_NHS, "CNRY4712"), referral()).await.unwrap();
    let other = bridge.store.referral(&Scope::system(), other).await.unwrap().unwrap();
    let taken = UpdatePatient {
        call: bridge.call(),
        patient_id: other.patient_id,
        version_seen: 1,
        details: canary_patient(NHS),
        reason: WHY.into(),
    };
    heard.refused(bridge.store.update_patient(taken).await);
    let mut stale = bridge.call();
    stale.request.as_mut().unwrap().key[0] ^= 1;
    let stale = UpdatePatient {
        call: stale,
        patient_id: other.patient_id,
        version_seen: 7,
        details: canary_patient(OTHER_NHS),
        reason: WHY.into(),
    };
    heard.refused(bridge.store.update_patient(stale).await);

    let declined = ReferralAnswer::Decline { reason: DeclineReason::Incomplete, text: Some(Private(WHY.into())) };
    let decline =
        AnswerReferral { call: bridge.call(), referral_id: other.id, author: canary_author(), answer: declined };
    heard.debug(&bridge.store.answer_referral(decline).await.unwrap());
    heard.refused(bridge.accept_referral(other.id).await);
    let mut late = bridge.note(TEXT);
    late.referral_id = other.id;
    late.expected.nhs_number = Some(NhsNumber::parse(OTHER_NHS).unwrap());
    heard.refused(bridge.try_write(late).await);
    heard.debug(&written);
}

/// The EPR's answers, by the order of the messages it gets. What can be echoed is echoed.
pub(super) fn unhelpful(number: usize, message: &str) -> Answer {
    let id = control_id(message);
    let spoken = format!("{FAMILY} {NHS} {TEXT}");
    let frame = |code: &str, more: String| Answer::frame(ack_text(&id, code, &spoken, &more).into_bytes());
    match number {
        // Not now, with every field of ERR in use.
        0 => frame(
            "AE",
            format!("ERR|PID^1^5^207&{FAMILY}|PID^1^{FAMILY}|207^{FAMILY}^{TEXT}|E|{LOCAL}|{GIVEN}|{TEXT}|{spoken}\r"),
        ),
        1 => frame("AE", String::new()),
        // To somebody else's message, named after the patient.
        2 => Answer::frame(ack_text(FAMILY, "AA", &spoken, "").into_bytes()),
        // No reply at all: the message itself, plain words, bytes outside any frame, half a frame.
        3 => Answer::frame(message.as_bytes().to_vec()),
        4 => Answer::frame(spoken.into_bytes()),
        5 => Answer { raw: Some(spoken.into_bytes()), then: Then::Close, ..Answer::default() },
        6 => Answer {
            raw: Some(format!("\u{b}MSH|^~\\&|{spoken}").into_bytes()),
            then: Then::Close,
            ..Answer::default()
        },
        // Yes and no at once.
        7 => frame("AA", format!("ERR||PID^1^5|{FAMILY}^{TEXT}|E||||{spoken}\r")),
        // Yes, and something behind it.
        8 => {
            let yes = ack_text(&id, "AA", &spoken, &format!("NTE|1||{TEXT}\r"));
            Answer {
                frames: vec![yes.into_bytes(), format!("MSH|^~\\&|{spoken}\rMSA|AA|{LOCAL}\r").into_bytes()],
                ..Answer::default()
            }
        }
        // From here on by what it is: an outcome or a withdrawal is taken, the rest refused with a code that is a name.
        _ if message.contains("IPS-OUTCOME") || message.contains("MDM^T11") => frame("AA", String::new()),
        _ => frame("AE", format!("ERR||PID^1^3|{FAMILY}^{TEXT}|E||||{spoken}\rERR||PID^1^3|204^{NHS}|E\r")),
    }
}

pub(super) async fn exercise_outbox(bridge: &Bridge, far_end: &FarEnd, heard: &Heard) {
    // The note accepted before goes through the EPR's first nine answers and is filed.
    let first = newest(bridge).await;
    let filed = bridge.wait_filed(first).await;
    heard.debug(&filed);
    assert!(far_end.got().len() >= 9, "each answer was given");

    // Everything a note can hold.
    let mut full = bridge.note(TEXT);
    full.content.kind = NoteKind::SupportNetworkContact { with_whom: Private(PRESENT.into()) };
    full.content.contact = None;
    full.content.risk_disclosed = Some(RiskDisclosed { told_whom: Private(TOLD.into()), told_at: bridge.now() });
    let refused = bridge.try_write(full).await.unwrap().answer().deliveries[0];
    heard.debug(&bridge.wait_state(refused, State::Parked).await);
    let held = bridge.write_note(&format!("{TEXT} \u{1f426}")).await;
    heard.debug(&bridge.wait_state(held.delivery, State::Parked).await);
    let long = bridge.write_note(&TEXT.repeat(4000)).await;
    heard.debug(&bridge.wait_state(long.delivery, State::Parked).await);
    let parked = Operate {
        call: bridge.call(),
        deliveries: vec![held.delivery],
        operation: Operation::Park,
        reason: "looked at".into(),
        single: true,
    };
    heard.refused(bridge.store.operate(parked).await);
    let replaced = ReplaceNote {
        call: bridge.call(),
        note_id: held.note,
        version_seen: held.version,
        expected: crate::support::bridge::expected(&bridge.patient),
        author: canary_author(),
        content: bridge.content(TEXT),
        reason: Private(WHY.into()),
        release_after: None,
    };
    heard.debug(&bridge.store.replace_note(replaced).await.unwrap());
    let withdrawn = WithdrawNote {
        call: bridge.call(),
        note_id: long.note,
        version_seen: long.version,
        author: canary_author(),
        reason: WithdrawReason::WrongPatient,
        explanation: Some(Private(EXPLAINED.into())),
    };
    heard.debug(&bridge.store.withdraw_note(withdrawn).await.unwrap());

    let (job, delivery) = bridge.record_outcome(canary_job(bridge)).await.unwrap();
    heard.debug(&bridge.wait_filed(delivery).await);
    let correct = |version_seen| CorrectOutcome {
        call: bridge.call(),
        outcome_id: job,
        version_seen,
        expected: crate::support::bridge::expected(&bridge.patient),
        author: canary_author(),
        content: canary_job(bridge),
        occurred_at: bridge.now(),
        reason: Private(WHY.into()),
    };
    heard.refused(bridge.store.correct_outcome(correct(9)).await);
    let corrected = bridge.store.correct_outcome(correct(1)).await.unwrap();
    heard.debug(&bridge.wait_filed(corrected.answer().deliveries[0]).await);
    let withdraw = WithdrawOutcome {
        call: bridge.call(),
        outcome_id: job,
        version_seen: 2,
        author: canary_author(),
        reason: WithdrawReason::Incorrect,
        explanation: Some(Private(EXPLAINED.into())),
    };
    let gone = bridge.store.withdraw_outcome(withdraw).await.unwrap();
    heard.debug(&bridge.wait_filed(gone.answer().deliveries[0]).await);
    let sent = far_end.got().concat();
    for carried in [FAMILY, NHS, STREET, TEXT, PRESENT, TOLD, EMPLOYER, POST, WHY, AUTHOR] {
        assert!(sent.contains(carried), "{carried} was never sent, so nothing could have leaked it");
    }
}

/// Messages of the EPR: one good, the rest wrong in every way that has an error of its own.
pub(super) async fn exercise_inbound(bridge: &Bridge, heard: &Heard) {
    let source = bridge.source();
    let fitted = source.in_use.now();
    heard.debug(&fitted.pack.parse(&good("I1", "").into_bytes(), &fitted.settings, "Europe/London").unwrap());
    let good_answer = receive(&source, good("I1", "").into_bytes()).await;
    assert!(String::from_utf8_lossy(&good_answer.concat()).contains("MSA|AA|I1"), "the good one is taken");
    receive(&source, good("I1", "").into_bytes()).await;
    let born = BORN.replace('-', "");
    let wrong = [
        format!("{FAMILY} {TEXT}"),
        good("", ""),
        good("I2", &format!("{TEXT} on a line of its own\r")),
        good("I3", &format!("PID|2||{NHS}^^^NHS^NH||{FAMILY}\r")),
        good("I4", "").replace(OTHER_NHS, WRONG_NHS),
        good("I5", "").replace(&born, &format!("{FAMILY}{born}")),
        good("I6", "").replace("|F|", &format!("|{FAMILY}|")),
        good("I7", "").replace("PRD|RP", &format!("PRD|{FAMILY}")),
        good("I8", "").replace(FAMILY, &format!("{FAMILY}son")).replace(EXTERNAL, "CNRYREF8"),
        good("I9", "").replace("|R|", &format!("|{TEXT}|")),
        good("I10", "").replace("REF^I12", &format!("{FAMILY}^{GIVEN}")),
        good("I11", "").replace("|T|2.4", &format!("|{FAMILY}|2.4")),
        good("I12", "").replace("|T|2.4", &format!("|T|{NHS}")),
        good("I13", "").replace("MSH|^~\\&|EPR|", &format!("MSH|^~\\&|{FAMILY}|")).replace(&born, "x"),
        good(FAMILY, "").replace(&born, "x"),
        good("I14", "").replace(FAMILY, &format!("\\{FAMILY}\\")),
        good("I15", "").replace(FAMILY, &FAMILY.repeat(60)).replace(STREET, &STREET.repeat(60)),
        good("I1", &format!("NTE|2||{TEXT}\r")),
        ack_text(FAMILY, "AE", TEXT, &format!("ERR|||{FAMILY}^{TEXT}|E\r")),
    ];
    for message in wrong {
        // Our answer is an error message too; where the sender named itself or its message after a patient, it gets its own words back.
        for answer in receive(&source, message.into_bytes()).await {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            heard.debug(&answer.split('\r').filter(|s| s.starts_with("ERR")).collect::<String>());
            heard.debug(
                &answer
                    .split('\r')
                    .filter(|s| s.starts_with("MSA"))
                    .filter_map(|s| s.split('|').nth(3))
                    .collect::<String>(),
            );
        }
    }
    receive(&source, [good("I16", "").as_bytes(), b"NTE|1||\xff\xfe\r"].concat()).await;
    let kept =
        bridge.store.inbound_messages(&Scope::trusts([trust()]), None, Page { size: 1000, after: None }).await.unwrap();
    assert!(
        kept.iter().any(|k| k.state == InboundState::Applied)
            && kept.iter().filter(|k| k.state == InboundState::Parked).count() > 10
    );
    for inbound in kept {
        heard.debug(&inbound);
    }
}

/// A referral that can be taken. `more` are whole segments.
pub(super) fn good(control_id: &str, more: &str) -> String {
    let born = BORN.replace('-', "");
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302093000||REF^I12|{control_id}|T|2.4\rRF1||R||||{EXTERNAL}1^EPR||||{WHY}\r\
         PRD|RP|{REFERRER}^Ann^^^Dr\rPID|1||{OTHER_NHS}^^^NHS^NH~{LOCAL}^^^RZ9^MR||{FAMILY}^{GIVEN}^^^{PREFIX}||{born}|2|||\
         {STREET}^^{CITY}^{COUNTY}^{POSTCODE}||{PHONE}\rNTE|1||{TEXT}\r{more}"
    )
    .replace(&format!("{LOCAL}^^^"), "CNRY4712^^^")
}
