//! Assets of which somebody decided: that goes before what the register says of them.

use super::{
    AssetState, Detections, Input, Registration,
    device::{EXPIRED, REJECTED, RETIRED_SEEN, tell},
};
use crate::{approval::DecidedDevice, asset::Asset, register::DeviceStatus};

/// The state of an asset of which somebody decided; `entry` is the one that it was matched to.
pub(super) fn judge(
    input: &Input<'_>,
    asset: &Asset,
    decided: &DecidedDevice,
    entry: Option<usize>,
    gone: bool,
    detections: &mut Detections,
) -> AssetState {
    let reason = decided.reason.clone();
    let state = |state, reason| AssetState { asset: asset.id, state, entry, reason };
    if let Some(end) = decided.ended_at.filter(|end| !decided.holds && *end <= input.as_of) {
        let reason = format!("{reason}; that is over since {end}");
        if asset.last_seen >= end {
            tell(asset, EXPIRED, EXPIRED.severity, &reason, gone, detections);
        }
        return state(Registration::Expired, reason);
    }
    match decided.status {
        DeviceStatus::Rejected => {
            tell(asset, REJECTED, REJECTED.severity, &reason, gone, detections);
            state(Registration::Rejected, reason)
        }
        DeviceStatus::Retired if gone => state(Registration::Registered, reason),
        DeviceStatus::Retired => {
            tell(asset, RETIRED_SEEN, RETIRED_SEEN.severity, &reason, gone, detections);
            state(Registration::RetiredButSeen, reason)
        }
        DeviceStatus::Approved if gone => state(Registration::Missing, reason),
        DeviceStatus::Approved => state(Registration::Registered, reason),
    }
}
