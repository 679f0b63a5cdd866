//! Lists as drivers give them, and what becomes of them.

use super::*;

fn found(backend: Backend, model: &str, ids: (u32, u32), bus: &str, kind: Kind) -> Found {
    Found {
        model: model.to_owned(),
        vendor: ids.0,
        device: ids.1,
        bus: bus.to_owned(),
        kind,
        backend,
        driver: "driver 1.2.3".to_owned(),
        computes: true,
        invocations: 1024,
        binding_bytes: (1 << 31) - 1,
    }
}

/// Names, backends, and whether each is used.
fn outcome(found: Vec<Found>) -> Vec<(String, Backend, bool)> {
    let listed = list(found).into_iter();
    listed.map(|it| (it.name.to_string(), it.found.backend, it.skip.is_none())).collect()
}

const RTX_3080: (u32, u32) = (0x10de, 0x2206);
const UHD_770: (u32, u32) = (0x8086, 0x4680);
const LAVAPIPE: (u32, u32) = (0x10005, 0);

/// Windows with a card and the CPU's own, both by Vulkan and by DirectX, and Microsoft's software.
#[test]
fn windows_with_two_backends() {
    let (vulkan, dx12) = (Backend::Vulkan, Backend::Dx12);
    let list = vec![
        found(dx12, "NVIDIA GeForce RTX 3080", RTX_3080, "0000:01:00.0", Kind::Discrete),
        found(dx12, "Intel(R) UHD Graphics 770", UHD_770, "0000:00:02.0", Kind::Integrated),
        found(dx12, "Microsoft Basic Render Driver", BASIC_RENDER, "", Kind::Software),
        found(vulkan, "Intel(R) UHD Graphics 770", UHD_770, "", Kind::Integrated),
        found(vulkan, "NVIDIA GeForce RTX 3080", RTX_3080, "0000:01:00.0", Kind::Discrete),
    ];
    assert_eq!(
        outcome(list),
        [
            ("gpu:10de-2206-0000:01:00.0".to_owned(), vulkan, true),
            ("gpu:8086-4680#0".to_owned(), vulkan, true),
            ("gpu:software".to_owned(), dx12, false),
        ]
    );
}

/// As recorded on Windows 11 in <https://github.com/gfx-rs/wgpu-native/issues/444>, by wgpu without
/// addresses; OpenGL is not asked.
#[test]
fn recorded_with_a_card_of_nvidia() {
    let (name, card) = ("NVIDIA GeForce RTX 4080", (4318, 9988));
    let mut list = vec![
        found(Backend::Vulkan, name, card, "", Kind::Discrete),
        found(Backend::Dx12, name, card, "", Kind::Discrete),
        found(Backend::Dx12, "Microsoft Basic Render Driver", (5140, 140), "", Kind::Software),
    ];
    for (it, driver) in list.iter_mut().zip(["NVIDIA 565.90", "32.0.15.6590", "10.0.26100.1301"]) {
        it.driver = driver.to_owned();
    }
    let expected = [
        ("gpu:10de-2704#0".to_owned(), Backend::Vulkan, true),
        ("gpu:software".to_owned(), Backend::Dx12, false),
    ];
    assert_eq!(outcome(list.clone()), expected);
    assert_eq!(super::list(list)[0].also, [Backend::Dx12]);
}

/// As recorded on Windows in <https://github.com/pygfx/wgpu-py/issues/482>.
#[test]
fn recorded_with_a_card_of_intel() {
    let (name, card) = ("Intel(R) Arc(TM) A750 Graphics", (32902, 22177));
    let list = vec![
        found(Backend::Vulkan, name, card, "", Kind::Discrete),
        found(Backend::Dx12, name, card, "", Kind::Discrete),
        found(Backend::Dx12, "Microsoft Basic Render Driver", (5140, 140), "", Kind::Software),
    ];
    let expected = [
        ("gpu:8086-56a1#0".to_owned(), Backend::Vulkan, true),
        ("gpu:software".to_owned(), Backend::Dx12, false),
    ];
    assert_eq!(outcome(list), expected);
}

/// As recorded on Windows without a card's driver in <https://github.com/gfx-rs/wgpu/issues/3485>:
/// the same software twice, once in the clothes of a GPU.
#[test]
fn recorded_software_that_says_it_is_integrated() {
    let basic =
        |kind| found(Backend::Dx12, "Microsoft Basic Render Driver", BASIC_RENDER, "", kind);
    let listed = outcome(vec![basic(Kind::Integrated), basic(Kind::Software)]);
    assert!(!listed.is_empty() && listed.iter().all(|(_, _, used)| !used), "{listed:?}");
}

/// A rig of equal cards: DirectX gives all of them the address of the first.
#[test]
fn equal_cards_stay_apart() {
    let card = |backend, bus| found(backend, "RTX 3080", RTX_3080, bus, Kind::Discrete);
    let list = vec![
        card(Backend::Vulkan, "0000:01:00.0"),
        card(Backend::Vulkan, "0000:41:00.0"),
        card(Backend::Dx12, "0000:01:00.0"),
        card(Backend::Dx12, "0000:01:00.0"),
    ];
    let names: Vec<_> = outcome(list).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["gpu:10de-2206-0000:01:00.0", "gpu:10de-2206-0000:41:00.0"]);
}

/// Without addresses, equal cards have ordinals, and those are said not to last.
#[test]
fn cards_without_an_address_have_ordinals() {
    let card = || found(Backend::Dx12, "RTX 3080", RTX_3080, "", Kind::Discrete);
    let listed = list(vec![card(), card()]);
    let names: Vec<_> = listed.iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["gpu:10de-2206#0", "gpu:10de-2206#1"]);
    assert!(listed.iter().all(|it| !it.name.is_stable()));
}

/// Linux with both of AMD's Vulkan drivers, and Mesa's software beside them.
#[test]
fn two_drivers_of_one_card() {
    let navi = (0x1002, 0x744c);
    let card = |model| found(Backend::Vulkan, model, navi, "0000:03:00.0", Kind::Discrete);
    let lavapipe = found(Backend::Vulkan, "llvmpipe", LAVAPIPE, "", Kind::Software);
    let list = vec![lavapipe, card("AMD Radeon RX 7900 XTX (RADV NAVI31)"), card("RX 7900 XTX")];
    assert_eq!(
        outcome(list),
        [
            ("gpu:1002-744c-0000:03:00.0".to_owned(), Backend::Vulkan, true),
            ("gpu:software".to_owned(), Backend::Vulkan, false),
        ]
    );
}

/// Windows where Mesa's Dozen shows each of DirectX's devices as one of Vulkan's.
#[test]
fn vulkan_on_top_of_directx_is_directx() {
    let mut dozen = found(Backend::Vulkan, "Microsoft Direct3D12", RTX_3080, "", Kind::Discrete);
    dozen.driver = "Dozen Mesa 25.1".to_owned();
    let real = found(Backend::Vulkan, "RTX 3080", RTX_3080, "0000:01:00.0", Kind::Discrete);
    let listed = list(vec![dozen, real]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].found.model, "RTX 3080");
    assert_eq!(listed[0].also, [Backend::Dx12]);
}

/// Metal tells neither vendor nor address.
#[test]
fn a_mac() {
    let list = vec![found(Backend::Metal, "Apple M2 Pro", (0, 0), "", Kind::Integrated)];
    assert_eq!(outcome(list), [("gpu:apple-m2-pro#0".to_owned(), Backend::Metal, true)]);
}

#[test]
fn weak_devices_are_listed_with_the_reason() {
    let card = || found(Backend::Vulkan, "old", (1, 2), "0000:01:00.0", Kind::Discrete);
    let reason = |found| list(vec![found])[0].skip.clone().map(|skip| skip.to_string());
    let no_compute = Found { computes: false, ..card() };
    let narrow = Found { invocations: 32, ..card() };
    let small = Found { binding_bytes: 1 << 20, ..card() };
    assert_eq!(reason(card()), None);
    assert_eq!(reason(no_compute).unwrap(), "its driver lacks compute shaders");
    assert_eq!(reason(narrow).unwrap(), "its driver lacks workgroups of 64 invocations");
    assert_eq!(reason(small).unwrap(), "its driver lacks buffers of 16777216 bytes");
}

#[test]
fn names_do_not_depend_on_the_order_in_which_drivers_answer() {
    let all = vec![
        found(Backend::Vulkan, "a", RTX_3080, "0000:41:00.0", Kind::Discrete),
        found(Backend::Vulkan, "b", UHD_770, "0000:00:02.0", Kind::Integrated),
        found(Backend::Dx12, "b", UHD_770, "", Kind::Integrated),
        found(Backend::Vulkan, "a", RTX_3080, "0000:01:00.0", Kind::Discrete),
    ];
    let names = |list: Vec<Found>| {
        let mut names: Vec<_> = outcome(list).into_iter().map(|(name, ..)| name).collect();
        names.sort();
        names
    };
    let mut reversed = all.clone();
    reversed.reverse();
    assert_eq!(names(all), names(reversed));
}
