//! Finding things in the record, and the questions one can ask it.

use std::collections::HashMap;

use super::document::Document;
use super::patient::{LocalId, Patient, PatientRecord, Referral};
use super::{Arrival, Record};

/// Where things stand. Made anew when a record is loaded.
#[derive(Clone, Default)]
pub(super) struct Lookup {
    by_nhs_number: HashMap<String, usize>,
    by_local_id: HashMap<LocalId, usize>,
    /// Patient and place among their documents, one for each copy.
    documents: HashMap<String, Vec<(usize, usize)>>,
    referrals: HashMap<String, (usize, usize)>,
    by_control_id: HashMap<String, Vec<usize>>,
    by_document_id: HashMap<String, Vec<usize>>,
}

impl Lookup {
    pub(super) fn of(record: &Record) -> Self {
        let mut lookup = Self::default();
        for (index, held) in record.patients.iter().enumerate() {
            lookup.knows(&held.patient, index);
            for (place, document) in held.documents.iter().enumerate() {
                lookup.filed(&document.id, (index, place));
            }
            for (place, referral) in held.referrals.iter().enumerate() {
                lookup.referred(&referral.id, (index, place));
            }
        }
        for (index, arrival) in record.arrivals.iter().enumerate() {
            lookup.arrived(arrival, index);
        }
        lookup
    }

    pub(super) fn knows(&mut self, patient: &Patient, index: usize) {
        if let Some(number) = &patient.nhs_number {
            self.by_nhs_number.insert(number.as_str().to_owned(), index);
        }
        if let Some(mrn) = &patient.mrn {
            self.by_local_id.insert(mrn.clone(), index);
        }
    }

    pub(super) fn filed(&mut self, id: &str, place: (usize, usize)) {
        self.documents.entry(id.to_owned()).or_default().push(place);
    }

    pub(super) fn referred(&mut self, id: &str, place: (usize, usize)) {
        self.referrals.insert(id.to_owned(), place);
    }

    pub(super) fn arrived(&mut self, arrival: &Arrival, index: usize) {
        self.by_control_id.entry(arrival.control_id.clone()).or_default().push(index);
        if let Some(id) = &arrival.document_id {
            self.by_document_id.entry(id.clone()).or_default().push(index);
        }
    }

    pub(super) fn with_control_id(&self, control_id: &str) -> &[usize] {
        self.by_control_id.get(control_id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn with_nhs_number(&self, number: &str) -> Option<usize> {
        self.by_nhs_number.get(number).copied()
    }

    pub(super) fn with_local_id(&self, id: &LocalId) -> Option<usize> {
        self.by_local_id.get(id).copied()
    }

    pub(super) fn copies(&self, document_id: &str) -> &[(usize, usize)] {
        self.documents.get(document_id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn referral(&self, id: &str) -> Option<(usize, usize)> {
        self.referrals.get(id).copied()
    }
}

/// Shows sizes only: its keys are people's numbers.
impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({} documents, {} control ids)", self.documents.len(), self.by_control_id.len())
    }
}

/// What tests and people ask.
impl Record {
    pub fn patients(&self) -> &[PatientRecord] {
        &self.patients
    }

    /// The patient with this NHS number or hospital number.
    pub fn patient(&self, number: &str) -> Option<&PatientRecord> {
        let has_mrn = |p: &&PatientRecord| p.patient.mrn.as_ref().is_some_and(|mrn| mrn.value == number);
        match self.lookup.with_nhs_number(number) {
            Some(index) => self.patients.get(index),
            None => self.patients.iter().find(has_mrn),
        }
    }

    /// Every document, copies included, patient by patient.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.patients.iter().flat_map(|p| &p.documents)
    }

    /// The document with this TXA-12 (`<id>^<namespace>`); the first filed, should there be copies.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.lookup.copies(id).first().map(|(patient, place)| &self.patients[*patient].documents[*place])
    }

    /// How many documents with this TXA-12 stand in the record: more than 1 is a duplicate.
    pub fn copies(&self, document_id: &str) -> usize {
        self.lookup.copies(document_id).len()
    }

    /// The ids that stand in the record more than once.
    pub fn duplicates(&self) -> Vec<&str> {
        let mut ids: Vec<&str> =
            self.lookup.documents.iter().filter(|(_, copies)| copies.len() > 1).map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    /// The referral with this RF1-6.1.
    pub fn referral(&self, id: &str) -> Option<&Referral> {
        self.lookup.referral(id).map(|(patient, place)| &self.patients[patient].referrals[place])
    }

    /// Every message received, in the order it came.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// The messages received with this MSH-10, repeats and refused ones included.
    pub fn arrivals_of(&self, control_id: &str) -> Vec<&Arrival> {
        self.lookup.with_control_id(control_id).iter().map(|index| &self.arrivals[*index]).collect()
    }

    /// The messages received with this TXA-12.
    pub fn arrivals_of_document(&self, document_id: &str) -> Vec<&Arrival> {
        let indexes = self.lookup.by_document_id.get(document_id);
        indexes.into_iter().flatten().map(|index| &self.arrivals[*index]).collect()
    }
}
