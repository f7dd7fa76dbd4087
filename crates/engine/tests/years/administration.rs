//! An administrator who rotates and changes schedules at every level all the time.

use crate::authority::{Authority, PROFILES, profile, tenant};
use crate::figures::Figures;
use crate::random::Random;
use wardein_domain::ProfileFields;
use wardein_engine::RotationScope;

pub(crate) async fn meddle(
    authority: &Authority,
    devices: usize,
    figures: &mut Figures,
    random: &mut Random,
) {
    let (engine, admin) = (&authority.engine, &authority.admin);
    let (name, ..) = PROFILES[random.below(PROFILES.len() as u64) as usize];
    let scope = match random.below(100) {
        0..50 => {
            figures.count("rotations of a device");
            let device = format!("pump-{}", random.below(devices as u64));
            RotationScope::Device(device.parse().unwrap())
        }
        50..75 => {
            figures.count("rotations of a profile");
            RotationScope::Profile(profile(name))
        }
        75..80 => {
            figures.count("rotations of a tenant");
            RotationScope::Tenant
        }
        _ => {
            figures.count("schedules changed");
            let fields = ProfileFields {
                period: Some([0, 60, 3_600, 86_400, 30 * 86_400][random.below(5) as usize]),
                max_uses: Some([0, 1, 2, 100][random.below(4) as usize]),
                rekey_after: Some([0, 86_400, 30 * 86_400][random.below(3) as usize]),
                ..ProfileFields::default()
            };
            engine.put_profile(admin, tenant(), profile(name), fields, true).await.unwrap();
            return;
        }
    };
    let is_required = random.chance(300);
    engine.rotate_keys(admin, tenant(), scope, is_required, "drill".parse().unwrap()).await.unwrap();
}
