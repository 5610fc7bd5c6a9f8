use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn window(cron: &str, minutes: u32, zone: &str) -> Window {
    Window::parse(cron, minutes, zone).expect("a window")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// `open until ...` or `opens at ...`, in UTC.
fn at(window: &Window, now: &str) -> String {
    match window.at(time(now)) {
        WindowState::Open { until } => format!("open until {until}"),
        WindowState::Closed { next } => format!("opens at {next}"),
    }
}

#[test]
fn a_window_opens_at_its_time_and_closes_after_its_duration() {
    let sunday = window("0 2 * * SUN", 120, "UTC");
    for (now, says) in [
        ("2026-11-26T12:00:00Z", "opens at 2026-11-29T02:00:00Z"),
        ("2026-11-29T01:59:59.999999999Z", "opens at 2026-11-29T02:00:00Z"),
        ("2026-11-29T02:00:00Z", "open until 2026-11-29T04:00:00Z"),
        ("2026-11-29T03:59:59.999999999Z", "open until 2026-11-29T04:00:00Z"),
        ("2026-11-29T04:00:00Z", "opens at 2026-12-06T02:00:00Z"),
    ] {
        assert_eq!(at(&sunday, now), says, "{now}");
    }
}

/// The database is in the program: nothing of the machine's is looked at, not even where it has one.
#[test]
fn time_zones_need_no_files() {
    let zone = time_zone("Europe/London").expect("London has a time zone");
    assert_eq!(zone.iana_name(), Some("Europe/London"));
    let names = time_zone_names();
    assert!(names.len() > 400, "{} names", names.len());
    assert!(names.iter().any(|name| name == "UTC"));
    let london = window("0 2 * * SUN", 120, "europe/london");
    assert_eq!(at(&london, "2026-07-05T00:00:00Z"), "opens at 2026-07-05T01:00:00Z");
    assert_eq!(at(&london, "2026-12-06T00:00:00Z"), "opens at 2026-12-06T02:00:00Z");
}

/// London's clocks go from 01:00 to 02:00 on 29 March 2026.
#[test]
fn a_time_in_the_skipped_hour_is_the_moment_that_clocks_are_put_forward() {
    let skipped = window("30 1 * * *", 45, "Europe/London");
    for (now, says) in [
        ("2026-03-28T02:30:00Z", "opens at 2026-03-29T01:00:00Z"),
        ("2026-03-29T00:59:59Z", "opens at 2026-03-29T01:00:00Z"),
        ("2026-03-29T01:00:00Z", "open until 2026-03-29T01:45:00Z"),
        ("2026-03-29T01:45:00Z", "opens at 2026-03-30T00:30:00Z"),
    ] {
        assert_eq!(at(&skipped, now), says, "{now}");
    }
    // Two hours are two hours, although clocks show three.
    let over = window("30 0 * * *", 120, "Europe/London");
    assert_eq!(at(&over, "2026-03-29T00:30:00Z"), "open until 2026-03-29T02:30:00Z");
}

/// London's clocks go from 02:00 back to 01:00 on 25 October 2026.
#[test]
fn a_time_in_the_repeated_hour_comes_once() {
    let repeated = window("30 1 * * *", 45, "Europe/London");
    for (now, says) in [
        ("2026-10-25T00:29:59Z", "opens at 2026-10-25T00:30:00Z"),
        ("2026-10-25T00:30:00Z", "open until 2026-10-25T01:15:00Z"),
        // The clocks show 01:00 to 01:59 again.
        ("2026-10-25T01:00:00Z", "open until 2026-10-25T01:15:00Z"),
        ("2026-10-25T01:15:00Z", "opens at 2026-10-26T01:30:00Z"),
        ("2026-10-25T01:30:00Z", "opens at 2026-10-26T01:30:00Z"),
        ("2026-10-25T02:30:00Z", "opens at 2026-10-26T01:30:00Z"),
    ] {
        assert_eq!(at(&repeated, now), says, "{now}");
    }
}

#[test]
fn a_day_that_a_zone_leaves_out_is_its_end() {
    // Samoa had no 30 December 2011: it went over the date line at midnight.
    let samoa = window("0 12 30 12 *", 60, "Pacific/Apia");
    assert_eq!(at(&samoa, "2011-12-30T00:00:00Z"), "opens at 2011-12-30T10:00:00Z");
    assert_eq!(at(&samoa, "2011-12-30T10:00:00Z"), "open until 2011-12-30T11:00:00Z");
}

#[test]
fn a_window_longer_than_its_period_is_always_open() {
    let always = window("0 2 * * *", 2000, "Europe/London");
    assert_eq!(at(&always, "2026-11-26T01:59:59Z"), "open until 2026-11-26T11:20:00Z");
    assert_eq!(at(&always, "2026-11-26T02:00:00Z"), "open until 2026-11-27T11:20:00Z");
    let touching = window("0 2 * * *", 1440, "UTC");
    assert_eq!(at(&touching, "2026-11-26T02:00:00Z"), "open until 2026-11-27T02:00:00Z");
}

#[test]
fn a_leap_day_comes_in_leap_years() {
    let leap = window("0 2 29 2 *", 60, "UTC");
    assert_eq!(at(&leap, "2026-11-26T00:00:00Z"), "opens at 2028-02-29T02:00:00Z");
    assert_eq!(at(&leap, "2096-02-29T03:00:00Z"), "opens at 2104-02-29T02:00:00Z");
}

#[test]
fn every_moment_has_an_answer() {
    for zone in ["UTC", "Europe/London", "Pacific/Apia", "Pacific/Kiritimati"] {
        for cron in ["* * * * *", "0 2 29 2 *"] {
            let window = window(cron, 10_080, zone);
            assert_eq!(window.at(Timestamp::MAX), WindowState::Closed { next: Timestamp::MAX });
            window.at(Timestamp::MIN);
        }
    }
}

#[test]
fn what_is_no_window_says_why() {
    let error = |cron, minutes, zone| Window::parse(cron, minutes, zone).expect_err("no window").to_string();
    assert_eq!(error("0 2 30 2 *", 60, "UTC"), "`0 2 30 2 *` is no schedule");
    assert_eq!(
        error("0 2 * * *", 0, "UTC"),
        "a window of 0 minutes is not between a minute and a week"
    );
    assert_eq!(
        error("0 2 * * *", 10_081, "UTC"),
        "a window of 10081 minutes is not between a minute and a week"
    );
    for zone in ["Mars/Olympus", "", "../etc/passwd", "Local", "Etc/Unknown"] {
        assert_eq!(error("0 2 * * *", 60, zone), format!("`{zone}` is no time zone"));
    }
}

#[test]
fn a_written_window_reads_back() {
    for zone in ["Europe/London", "GB", "Etc/GMT-3", "UTC", "Asia/Kolkata"] {
        let sunday = window("0 2 * * SUN", 120, zone);
        let written = serde_json::to_string(&sunday).expect("it can be written");
        assert!(written.contains(&format!("\"{zone}\"")), "{written}");
        assert_eq!(
            serde_json::from_str::<Window>(&written).expect("it can be read"),
            sunday
        );
    }
    let written = serde_json::to_string(&window("0 2 * * SUN", 120, "UTC")).expect("it can be written");
    let broken = written.replace("SUN", "NEVER");
    assert!(serde_json::from_str::<Window>(&broken).is_err());
}

/// Whether a window is open, by the definition and without search: some minute of the time before began one.
fn open_by_walking(cron: &Fields, minutes: u32, zone: &TimeZone, now: Timestamp) -> bool {
    let minute = SignedDuration::from_mins(1);
    let mut begins = Vec::new();
    // From a day earlier on, so that the hour before a repeated one is known.
    let mut moment = (now - SignedDuration::from_mins(i64::from(minutes) + 1440))
        .round(jiff::Unit::Minute)
        .expect("a minute is a unit");
    let mut latest = zone.to_datetime(moment);
    while moment <= now {
        let shown = zone.to_datetime(moment);
        // Every time that was reached with this minute: none in a repeated hour, many after a skipped one.
        let mut time = latest;
        while time < shown {
            time = time.checked_add(minute).expect("an ordinary year");
            if cron.fit(time) {
                begins.push(moment);
            }
        }
        latest = latest.max(shown);
        moment += minute;
    }
    let duration = SignedDuration::from_mins(minutes.into());
    begins.iter().any(|begun| now < *begun + duration)
}

/// Single values of cron, none is `*`.
#[derive(Debug, Clone)]
struct Fields {
    minute: i8,
    hour: Option<i8>,
    day: Option<i8>,
    weekday: Option<i8>,
}

impl Fields {
    fn text(&self) -> String {
        let or_star = |value: Option<i8>| value.map_or_else(|| "*".to_owned(), |value| value.to_string());
        let Self {
            minute,
            hour,
            day,
            weekday,
        } = self;
        format!("{minute} {} {} * {}", or_star(*hour), or_star(*day), or_star(*weekday))
    }

    fn fit(&self, time: DateTime) -> bool {
        let day = match (self.day, self.weekday) {
            (None, None) => true,
            (Some(day), None) => day == time.day(),
            (None, Some(weekday)) => weekday == time.weekday().to_sunday_zero_offset(),
            (Some(day), Some(weekday)) => day == time.day() || weekday == time.weekday().to_sunday_zero_offset(),
        };
        self.minute == time.minute() && self.hour.is_none_or(|hour| hour == time.hour()) && day
    }
}

prop_compose! {
    /// A time zone and a moment, mostly within hours of a change of its clocks. Lord Howe's change by half an hour.
    fn moments()(
        (zone, change) in prop::sample::select(vec![
            ("Europe/London", "2026-03-29T01:00:00Z"),
            ("Europe/London", "2026-10-25T01:00:00Z"),
            ("America/New_York", "2026-03-08T07:00:00Z"),
            ("America/New_York", "2026-11-01T06:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
            ("UTC", "2024-02-29T00:00:00Z"),
        ]),
        minutes in prop_oneof![3 => -150_i64..150, 1 => -3000_i64..3000],
        nanos in 0_i64..60_000_000_000,
    ) -> (&'static str, Timestamp) {
        (zone, time(change) + SignedDuration::from_mins(minutes) + SignedDuration::from_nanos(nanos))
    }
}

prop_compose! {
    fn fields()(
        minute in 0_i8..60,
        hour in prop::option::weighted(0.9, 0_i8..5),
        day in prop::option::weighted(0.3, 1_i8..32),
        weekday in prop::option::weighted(0.3, 0_i8..7),
    ) -> Fields {
        Fields { minute, hour, day, weekday }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        // The same cases each time; another seed and more cases find more, now and then.
        rng_seed: RngSeed::Fixed(20_261_126),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_closed_window_opens_at_next_and_not_before(
        fields in fields(), minutes in 1_u32..300, (zone, now) in moments(), later_s in 0_i64..100_000
    ) {
        let window = window(&fields.text(), minutes, zone);
        let nano = SignedDuration::from_nanos(1);
        match window.at(now) {
            WindowState::Closed { next } => {
                prop_assert!(now < next);
                prop_assert_eq!(window.at(next - nano), WindowState::Closed { next });
                let opens = matches!(window.at(next), WindowState::Open { until } if next < until);
                prop_assert!(opens);
            }
            WindowState::Open { until } => {
                prop_assert!(now < until);
                let still_open = matches!(window.at(until - nano), WindowState::Open { until: later } if until <= later);
                prop_assert!(still_open);
            }
        }
        let later = now + SignedDuration::from_secs(later_s);
        if let (WindowState::Closed { next: first }, WindowState::Closed { next: second }) = (window.at(now), window.at(later)) {
            prop_assert!(first <= second);
            prop_assert!(first == second || first < later);
        }
    }

    #[test]
    fn walking_minute_by_minute_finds_the_same(
        fields in fields(), minutes in 1_u32..300, (zone, now) in moments()
    ) {
        let window = window(&fields.text(), minutes, zone);
        let open = matches!(window.at(now), WindowState::Open { .. });
        let zone = time_zone(zone).expect("a time zone");
        prop_assert_eq!(open, open_by_walking(&fields, minutes, &zone, now));
    }
}
