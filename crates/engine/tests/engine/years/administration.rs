//! An administrator who rotates and changes schedules at every level all the time.

use super::authority::{Authority, PROFILES, any_tenant, profile, tenants};
use super::figures::Figures;
use super::gifts::id;
use super::random::Random;
use wardein_domain::ProfileFields;
use wardein_engine::ProfilePut;
use wardein_engine::RotationScope;

pub(crate) async fn meddle(
    authority: &mut Authority,
    devices: usize,
    figures: &mut Figures,
    random: &mut Random,
) {
    let mut tenant = any_tenant(random);
    let (name, ..) = PROFILES[random.below(PROFILES.len() as u64) as usize];
    let scope = match random.below(100) {
        0..50 => {
            figures.count("rotations of a device");
            let number = random.below(devices as u64) as usize;
            // Where it was quarantined, as a copy was found, it is too.
            tenant = authority.home_of(number).await.unwrap_or_else(|| tenants().next().unwrap());
            RotationScope::Device(id(number))
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
            let put = async |authority: &Authority| {
                let Authority { engine, admin, .. } = authority;
                engine
                    .put_profile(admin, tenant.clone(), profile(name), ProfilePut::set(fields.clone()))
                    .await
            };
            authority.insist(put).await.unwrap();
            return;
        }
    };
    let is_required = random.chance(300);
    let rotate = async |authority: &Authority| {
        let Authority { engine, admin, .. } = authority;
        engine.rotate_keys(admin, tenant.clone(), scope.clone(), is_required, "drill".parse().unwrap()).await
    };
    authority.insist(rotate).await.unwrap();
}
