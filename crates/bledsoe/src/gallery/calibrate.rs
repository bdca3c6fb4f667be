//! Fitting the calibration to what the gallery holds and the user has shown.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use serde::Serialize;

use super::{
    Gallery,
    calibration::{Calibration, Evidence, Mates},
    count_revision, revision,
    tops::{Strangers, Tops, head},
};
use crate::{Error, Result, embed::Embedding};

/// The note with the embeddings of strangers whom the user has shown, end to end.
const MET_NOTE: &str = "met-strangers";
/// The note with the scores of the user's own photos against their people.
const MATES_NOTE: &str = "mates";
/// The rates whose thresholds are told.
const TOLD_RATES: [f64; 3] = [0.1, 0.01, 0.001];

/// What a gallery's decisions rest on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationSummary {
    /// Synthetic strangers; 0 where the embedder has none.
    pub synthetic: usize,
    /// People enrolled that stand for strangers to the others.
    pub enrolled: usize,
    /// The user's own strangers.
    pub met: usize,
    /// The user's own photos of people enrolled.
    pub mates: usize,
    /// Thresholds by false positive identification rate: 0.1, 0.01, 0.001; empty where there is too little evidence.
    pub thresholds: BTreeMap<String, f32>,
}

/// A calibration of one revision.
pub(super) struct Fitted {
    pub(super) calibration: Option<Calibration>,
    summary: CalibrationSummary,
}

impl Gallery {
    /// Fits the gallery to the user's own photos: `strangers` are faces of people not enrolled, each of another person,
    /// `mates` are faces of people enrolled, with the name. They replace those shown before. Scores of the mates are
    /// kept, embeddings only of the strangers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another embedder's embeddings, [`Error::Invalid`] for a mate who is not enrolled.
    pub fn calibrate(&mut self, strangers: &[Embedding], mates: &[(String, Embedding)]) -> Result<CalibrationSummary> {
        strangers.iter().chain(mates.iter().map(|(_, face)| face)).try_for_each(|face| self.check(face))?;
        let mut scores = Vec::with_capacity(mates.len());
        for (name, face) in mates {
            let person = self.known(name)?;
            let head = head(self.store.as_ref(), person.id)?
                .ok_or_else(|| Error::Invalid(format!("{name} has no template")))?;
            scores.push(head.score(&face.vector));
        }
        let met: Vec<u8> = strangers.iter().flat_map(|face| &face.vector).flat_map(|x| x.to_le_bytes()).collect();
        let scores = serde_json::to_vec(&scores).map_err(|e| Error::Invalid(e.to_string()))?;
        let cohort = self.cohort.as_ref();
        let fresh = Strangers { cohort, met: strangers.iter().map(|face| face.vector.clone()).collect() };
        self.store.atomically(&mut |store| {
            store.set_note(MET_NOTE, Some(&met))?;
            store.set_note(MATES_NOTE, Some(&scores))?;
            Tops::of(store, &fresh)?.save(store)?;
            count_revision(store)
        })?;
        self.calibration()
    }

    /// Finds out anew whom all strangers are most like, and keeps those shown before.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn fit_anew(&mut self) -> Result<CalibrationSummary> {
        let strangers = Strangers { cohort: self.cohort.as_ref(), met: self.met()? };
        self.store.atomically(&mut |store| {
            Tops::of(store, &strangers)?.save(store)?;
            count_revision(store)
        })?;
        self.calibration()
    }

    /// What decisions rest on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn calibration(&self) -> Result<CalibrationSummary> {
        Ok(self.fitted()?.summary.clone())
    }

    pub(super) fn not_calibrated(&self) -> Error {
        Error::Invalid(format!(
            "{}: too few strangers are known to promise an error rate with embeddings of {}: show it some with `bledsoe calibrate`, \
             enroll more people, or give a threshold",
            self.store.describe(),
            self.store.model().id
        ))
    }

    /// All strangers' embeddings.
    pub(super) fn strangers(&self) -> Result<Strangers<'_>> {
        Ok(Strangers { cohort: self.cohort.as_ref(), met: self.met()? })
    }

    /// The embeddings of the strangers whom the user has shown.
    pub(super) fn met(&self) -> Result<Vec<Vec<f32>>> {
        let met = match self.store.note(MET_NOTE)? {
            Some(bytes) => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>(),
            None => Vec::new(),
        };
        Ok(met.chunks_exact(self.store.model().dim).map(<[f32]>::to_vec).collect())
    }

    /// What calibration is fitted to.
    pub(super) fn evidence(&self) -> Result<Evidence> {
        let tops = Tops::load(self.store.as_ref())?;
        let shown = self.shown_mates()?;
        let mates = match &self.cohort {
            Some(cohort) => Some(cohort.mates.with(&shown)),
            None => Mates::of_scores(&shown),
        };
        let synthetic = self.cohort.as_ref().and_then(|cohort| tops.synthetic(cohort));
        let enrolled = tops.enrolled(self.store.as_ref())?;
        Ok(Evidence { synthetic, enrolled, met: tops.met(), mates })
    }

    fn shown_mates(&self) -> Result<Vec<f32>> {
        match self.store.note(MATES_NOTE)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                Error::Invalid(format!("{}: its note {MATES_NOTE} is damaged: {e}", self.store.describe()))
            }),
            None => Ok(Vec::new()),
        }
    }

    /// The calibration of the gallery as it is now.
    pub(super) fn fitted(&self) -> Result<Arc<Fitted>> {
        let revision = revision(self.store.as_ref())?;
        if let Some((of, fitted)) = &*self.fitted.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == revision
        {
            return Ok(Arc::clone(fitted));
        }
        let evidence = self.evidence()?;
        let calibration = Calibration::fit(&evidence);
        let thresholds =
            TOLD_RATES.iter().filter_map(|&rate| Some((rate.to_string(), calibration.as_ref()?.threshold(rate))));
        let summary = CalibrationSummary {
            synthetic: evidence.synthetic.as_ref().map_or(0, |synthetic| synthetic.tops.len()),
            enrolled: evidence.enrolled.as_ref().map_or(0, |enrolled| enrolled.tops.len()),
            met: evidence.met.len(),
            mates: self.shown_mates()?.len(),
            thresholds: thresholds.collect(),
        };
        let fitted = Arc::new(Fitted { calibration, summary });
        *self.fitted.lock().unwrap_or_else(PoisonError::into_inner) = Some((revision, Arc::clone(&fitted)));
        Ok(fitted)
    }
}
