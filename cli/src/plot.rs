//! Plots of simulated runs.

use std::path::Path;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use trigger_simulator::{Outcome, Point};

/// The plot's width and height, in pixels.
const SIZE: (u32, u32) = (1200, 900);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// A policy and its simulated result.
pub(crate) struct Course<'a> {
    pub(crate) name: &'static str,
    /// Whether the policy is one of ecs-trigger's own.
    pub(crate) is_ours: bool,
    pub(crate) outcome: &'a Outcome,
}

/// Returns whether the file's extension is one that [`draw`] supports.
pub(crate) fn is_possible(file: &Path) -> bool {
    matches!(extension(file).as_str(), "svg" | "png")
}

fn extension(file: &Path) -> String {
    file.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Draws depth, desired and running counts over time, and age against cost, as SVG or PNG by the file's extension.
pub(crate) fn draw(file: &Path, workload: &str, acceptable_latency: f64, courses: &[Course<'_>]) -> Result<(), String> {
    // An embedded font draws the same letters on every machine.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the plot's font cannot be loaded".to_owned())?;
    let said = |error: String| format!("{}: {error}", file.display());
    match extension(file).as_str() {
        "svg" => {
            let area = SVGBackend::new(file, SIZE).into_drawing_area();
            drawn(&area, workload, acceptable_latency, courses).map_err(|error| said(error.to_string()))
        }
        _ => {
            let area = BitMapBackend::new(file, SIZE).into_drawing_area();
            drawn(&area, workload, acceptable_latency, courses).map_err(|error| said(error.to_string()))
        }
    }
}

fn drawn<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    workload: &str,
    acceptable_latency: f64,
    courses: &[Course<'_>],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let (over_time, scatter) = area.split_horizontally(SIZE.0 * 2 / 3);
    let rows = over_time.split_evenly((3, 1));
    let title = format!("{workload}: messages waiting or in progress");
    lines(&rows[0], &title, courses, |point| point.depth as f64)?;
    lines(&rows[1], "desired workers", courses, |point| f64::from(point.desired))?;
    lines(&rows[2], "running workers (time in hours)", courses, |point| f64::from(point.running))?;
    against_cost(&scatter, acceptable_latency, courses)?;
    area.present()
}

fn lines<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    courses: &[Course<'_>],
    of: fn(&Point) -> f64,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || courses.iter().flat_map(|course| &course.outcome.course);
    let end = points().map(|point| point.at / 3600.0).fold(0.0, f64::max);
    let top = points().map(of).fold(1.0, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 13))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .draw()?;
    // Our policies come first; drawn last, their lines are on top.
    for (position, course) in courses.iter().enumerate().rev() {
        let steps = course.outcome.course.iter().map(|point| (point.at / 3600.0, of(point)));
        chart.draw_series(LineSeries::new(steps, colour(position)))?;
    }
    Ok(())
}

fn against_cost<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    acceptable_latency: f64,
    courses: &[Course<'_>],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let outcomes = || courses.iter().map(|course| course.outcome);
    let right = outcomes().map(Outcome::hours_per_work).fold(1.0, f64::max) * 1.3;
    let top = outcomes().map(|outcome| outcome.p99_age).fold(acceptable_latency, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption("p99 age against cost", (FONT, 18))
        .margin(8)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 13))
        .y_label_formatter(&|seconds| format!("{seconds:.0}"))
        .x_desc("task-hours per hour of work")
        .y_desc("p99 message age in seconds (line: acceptable latency)")
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, acceptable_latency), (right, acceptable_latency)], BLACK.mix(0.5)))?;
    for (position, course) in courses.iter().enumerate() {
        let place = (course.outcome.hours_per_work(), course.outcome.p99_age);
        let colour = colour(position);
        let label = (FONT, 15).into_font().color(&colour);
        chart.draw_series(PointSeries::of_element(
            [place],
            if course.is_ours { 6 } else { 4 },
            colour,
            &|place, size, style| {
                EmptyElement::at(place)
                    + Circle::new((0, 0), size, style.filled())
                    + Text::new(course.name, (8, if position.is_multiple_of(2) { -10 } else { 6 }), label.clone())
            },
        ))?;
    }
    Ok(())
}

fn colour(position: usize) -> RGBColor {
    COLOURS[position % COLOURS.len()]
}
