//! What of service access waits for somebody, counted for those who watch the service.

use super::protocols::awaited;
use crate::kernel::{Engine, Error, Page};
use crate::rows::{self, EmergencyUsesRow, VisitRow};
use wardein_port::Table;

/// How much waits, of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceCounts {
    /// Visits that are over, where a device let the technician in and gave no protocol.
    pub without_protocol: u64,
    /// Uses of codes for emergencies whose review is open.
    pub open_reviews: u64,
}

impl Engine {
    /// Counts what waits. It reads the visits of 400 days.
    pub async fn count_service(&self) -> Result<ServiceCounts, Error> {
        let mut counts = ServiceCounts::default();
        self.each_row(Table::Visit, |value| {
            let row: VisitRow = rows::decode(Table::Visit, value)?;
            counts.without_protocol += u64::from(!awaited(&row, self.state(&row)).is_empty());
            Ok(())
        })
        .await?;
        self.each_row(Table::EmergencyUses, |value| {
            let row: EmergencyUsesRow = rows::decode(Table::EmergencyUses, value)?;
            counts.open_reviews += row.uses.iter().filter(|of| of.closed.is_none()).count() as u64;
            Ok(())
        })
        .await?;
        Ok(counts)
    }

    /// Has `look` look at each value of a table, page by page.
    async fn each_row(
        &self,
        table: Table,
        mut look: impl FnMut(&[u8]) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(table, b"", after.as_deref(), Page::MAX).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (_, row) in &page {
                look(&row.value)?;
            }
        }
    }
}
