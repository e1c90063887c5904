//! Filing: what each kind of message changes in the record.

use jiff::Timestamp;

use super::document::{Cancelled, Document, Status, Version};
use super::judge::{Asks, Head, Refusal, head, only};
use super::patient::{LogRow, Patient, PatientRecord, Referral, ReferralAnswer, ReferralSent};
use super::read::{Content, Identity, author, component, entity, notes, result_author, said};
use super::{Arrival, Record};
use crate::adapter::hl7::{Envelope, Message};

impl Record {
    /// Makes a person known; one who is known already stays as they are. Returns their place.
    pub(super) fn know(&mut self, patient: Patient) -> usize {
        let known = patient.nhs_number.as_ref().and_then(|n| self.lookup.with_nhs_number(n.as_str()));
        let known = known.or_else(|| patient.mrn.as_ref().and_then(|mrn| self.lookup.with_local_id(mrn)));
        known.unwrap_or_else(|| {
            self.lookup.knows(&patient, self.patients.len());
            self.patients.push(PatientRecord { patient, documents: vec![], referrals: vec![], log: vec![] });
            self.patients.len() - 1
        })
    }

    /// Whom a PID means; `None`: nobody it knows so far. With a list of its own the EPR takes nobody else, and compares name
    /// and birth.
    fn whom(&self, identity: &Identity) -> Result<Option<usize>, Refusal> {
        let unknown = Refusal::error(204, "PID", 3, "no such patient here");
        let by_number = identity.nhs_number.as_ref().and_then(|n| self.lookup.with_nhs_number(n));
        let by_local = identity.local_ids.iter().find_map(|id| self.lookup.with_local_id(id));
        if identity.nhs_number.is_none() && identity.local_ids.is_empty() {
            return Err(unknown);
        }
        if by_number.zip(by_local).is_some_and(|(one, other)| one != other) {
            return Err(Refusal::error(204, "PID", 3, "the identifiers belong to different patients"));
        }
        let strict = self.settings.patients.is_some();
        match by_number.or(by_local) {
            None if strict => Err(unknown),
            Some(index) if strict => agrees(identity, &self.patients[index].patient).map(|()| Some(index)),
            known => Ok(known),
        }
    }

    pub(super) fn file(&mut self, asks: Asks, message: &Message, arrival: &Arrival) -> Result<(), Refusal> {
        let identity = Identity::read(only(message, "PID")?);
        let known = self.whom(&identity)?;
        if asks == Asks::File {
            self.new_document_id(message)?;
        }
        let patient = match (known, asks) {
            (Some(patient), _) => patient,
            (None, Asks::File) => self.know(identity.into_patient()),
            (None, Asks::AnswerReferral) if self.settings.takes_unknown_referrals => self.know(identity.into_patient()),
            (None, Asks::AnswerReferral) => return Err(Refusal::error(204, "RF1", 6, "no such referral was sent")),
            (None, _) => {
                let Head { name, id, .. } = head(message)?;
                return Err(Refusal::error(204, name, id, "no such document here"));
            }
        };
        let id = match asks {
            Asks::File => self.file_document(message, arrival, patient, None)?,
            Asks::Replace => self.replace(message, arrival, patient)?,
            Asks::Edit => self.edit(message, arrival, patient)?,
            Asks::Cancel => self.cancel(message, arrival, patient)?,
            Asks::AnswerReferral => self.answer_referral(message, arrival, patient)?,
        };
        let row = LogRow { at: arrival.at, kind: arrival.kind.clone(), control_id: arrival.control_id.clone(), id };
        self.patients[patient].log.push(row);
        Ok(())
    }

    /// The id of a document to be filed; an EPR that recognises repeats files no id twice.
    fn new_document_id(&self, message: &Message) -> Result<String, Refusal> {
        let Head { segment, name, id: field } = head(message)?;
        let id = entity(segment.field(field as usize));
        let id = id.ok_or(Refusal::error(101, name, field, "a required field is empty"))?;
        if self.settings.recognises_repeats && self.copies(&id) > 0 {
            return Err(Refusal::error(205, name, field, "a document with this id is held already"));
        }
        Ok(id)
    }

    fn file_document(
        &mut self,
        message: &Message,
        arrival: &Arrival,
        patient: usize,
        replaces: Option<String>,
    ) -> Result<String, Refusal> {
        let id = self.new_document_id(message)?;
        let version = version(message, arrival)?;
        let documents = &mut self.patients[patient].documents;
        documents.push(Document {
            id: id.clone(),
            status: Status::Current,
            replaces,
            replaced_by: None,
            cancelled: None,
            versions: vec![version],
        });
        self.lookup.filed(&id, (patient, documents.len() - 1));
        Ok(id)
    }

    fn replace(&mut self, message: &Message, arrival: &Arrival, patient: usize) -> Result<String, Refusal> {
        let parent = self.target(message, Some(13), patient)?;
        let replaces = self.patients[patient].documents[parent].id.clone();
        let id = self.file_document(message, arrival, patient, Some(replaces))?;
        let parent = &mut self.patients[patient].documents[parent];
        parent.status = Status::Obsolete;
        parent.replaced_by = Some(id.clone());
        Ok(id)
    }

    fn edit(&mut self, message: &Message, arrival: &Arrival, patient: usize) -> Result<String, Refusal> {
        let target = self.target(message, None, patient)?;
        let version = version(message, arrival)?;
        let document = &mut self.patients[patient].documents[target];
        document.versions.push(version);
        Ok(document.id.clone())
    }

    fn cancel(&mut self, message: &Message, arrival: &Arrival, patient: usize) -> Result<String, Refusal> {
        let target = self.target(message, None, patient)?;
        let reason = said(&only(message, "TXA")?.field(21).reading()).unwrap_or_default().into();
        let document = &mut self.patients[patient].documents[target];
        document.status = Status::Cancelled;
        document.cancelled = Some(Cancelled { at: arrival.at, control_id: arrival.control_id.clone(), reason });
        Ok(document.id.clone())
    }

    /// The patient's document that a message names, in its own place or in TXA-`field`. An EPR that recognises repeats changes current documents only; one
    /// that does not must be able to do the same thing twice.
    fn target(&self, message: &Message, field: Option<u32>, patient: usize) -> Result<usize, Refusal> {
        let Head { segment, name, id } = head(message)?;
        let field = field.unwrap_or(id);
        let refuse = |text| Refusal::error(204, name, field, text);
        let id = entity(segment.field(field as usize)).unwrap_or_default();
        let copies = self.lookup.copies(&id);
        if copies.is_empty() {
            return Err(refuse("no such document here"));
        }
        // The newest copy: the one a reader sees first.
        let (_, place) = copies
            .iter()
            .rev()
            .find(|(whose, _)| *whose == patient)
            .ok_or(refuse("the document is another patient's"))?;
        match self.patients[patient].documents[*place].status {
            Status::Obsolete if self.settings.recognises_repeats => Err(refuse("the document is obsolete")),
            Status::Cancelled if self.settings.recognises_repeats => Err(refuse("the document is cancelled")),
            _ => Ok(*place),
        }
    }

    fn answer_referral(&mut self, message: &Message, arrival: &Arrival, patient: usize) -> Result<String, Refusal> {
        let refuse = |text| Refusal::error(204, "RF1", 6, text);
        let rf1 = only(message, "RF1")?;
        let id = component(rf1.field(6), 1).unwrap_or_default();
        let place = match self.lookup.referral(&id) {
            Some((whose, place)) if whose == patient => place,
            Some(_) => return Err(refuse("the referral is another patient's")),
            None if self.settings.takes_unknown_referrals => self.referral_place(patient, &id),
            None => return Err(refuse("no such referral was sent")),
        };
        let msa = message.segments_named("MSA").next();
        let reason = component(rf1.field(10), 2).or_else(|| component(rf1.field(10), 1));
        self.patients[patient].referrals[place].answers.push(ReferralAnswer {
            at: arrival.at,
            control_id: arrival.control_id.clone(),
            status: component(rf1.field(1), 1).unwrap_or_default(),
            status_text: component(rf1.field(1), 2).unwrap_or_default(),
            reason: reason.map(Into::into),
            text: notes(message).into(),
            in_reply_to: msa.and_then(|msa| component(msa.field(2), 1)),
        });
        Ok(id)
    }

    fn referral_place(&mut self, patient: usize, id: &str) -> usize {
        if let Some((whose, place)) = self.lookup.referral(id)
            && whose == patient
        {
            return place;
        }
        let referrals = &mut self.patients[patient].referrals;
        let (priority, text) = (None, "".into());
        referrals.push(Referral { id: id.to_owned(), priority, text, sent: Vec::new(), answers: Vec::new() });
        let place = referrals.len() - 1;
        self.lookup.referred(id, (patient, place));
        place
    }

    /// Keeps a referral that the EPR sends; its patient becomes known. Anything but a REF is not kept. Returns its id.
    pub fn note_sent(&mut self, bytes: &[u8], at: Timestamp) -> Option<String> {
        let envelope = Envelope::peek(bytes).filter(|e| e.message_code() == "REF")?;
        let message = Message::read(bytes, self.settings.charset).ok()?;
        let rf1 = only(&message, "RF1").ok()?;
        let id = component(rf1.field(6), 1)?;
        let patient = self.know(Identity::read(only(&message, "PID").ok()?).into_patient());
        let place = self.referral_place(patient, &id);
        let referral = &mut self.patients[patient].referrals[place];
        referral.priority = component(rf1.field(2), 2).or_else(|| component(rf1.field(2), 1));
        referral.text = notes(&message).into();
        let control_id = envelope.control_id().into_owned();
        referral.sent.push(ReferralSent { at, control_id, acknowledged: String::new() });
        Some(id)
    }

    /// Keeps the acknowledgement of a referral sent.
    pub fn note_acknowledged(&mut self, referral_id: &str, control_id: &str, code: &str) {
        let Some((patient, place)) = self.lookup.referral(referral_id) else { return };
        let sent = &mut self.patients[patient].referrals[place].sent;
        if let Some(sent) = sent.iter_mut().rev().find(|s| s.control_id == control_id) {
            sent.acknowledged = code.to_owned();
        }
    }
}

/// Name and date of birth, as far as both sides say them.
fn agrees(identity: &Identity, patient: &Patient) -> Result<(), Refusal> {
    let refuse = |field, text| Err(Refusal::error(204, "PID", field, text));
    let same = |one: &str, other: &str| one.trim().to_lowercase() == other.trim().to_lowercase();
    let number = patient.nhs_number.as_ref().zip(identity.nhs_number.as_ref());
    if number.is_some_and(|(held, sent)| held.as_str() != sent) {
        return refuse(3, "the NHS number is another one");
    }
    if identity.family.as_ref().is_some_and(|family| !same(family, patient.family.as_str())) {
        return refuse(5, "the family name is another one");
    }
    let birth = patient.date_of_birth.zip(identity.date_of_birth);
    if birth.is_some_and(|(held, sent)| held != sent) {
        return refuse(7, "the date of birth is another one");
    }
    Ok(())
}

fn version(message: &Message, arrival: &Arrival) -> Result<Version, Refusal> {
    let Content { sections, rows, attachments } = Content::read(message)?;
    let Head { segment, name, .. } = head(message)?;
    let part = |field: usize| component(segment.field(field), 1);
    let of_result = name == "OBR";
    Ok(Version {
        at: arrival.at,
        control_id: arrival.control_id.clone(),
        by: arrival.kind.clone(),
        kind: if of_result { component(segment.field(4), 2).or_else(|| part(4)) } else { part(2) }.unwrap_or_default(),
        author: if of_result {
            result_author(segment.field(32))
        } else {
            author(segment.field(9)).or_else(|| author(segment.field(5)))
        },
        activity: part(if of_result { 7 } else { 4 }),
        written: part(if of_result { 22 } else { 6 }),
        completion: part(if of_result { 25 } else { 17 }).unwrap_or_default(),
        confidentiality: if of_result { None } else { part(18) },
        availability: if of_result { None } else { part(19) },
        sections,
        rows,
        attachments,
    })
}
