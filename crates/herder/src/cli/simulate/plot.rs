//! The course of one experiment as a picture: demand, capacity and desired over time, as SVG.
//! It draws what it is given; it knows nothing of policies.

use plotters::prelude::{
    ChartBuilder, Color as _, IntoDrawingArea as _, IntoFont as _, LineSeries, PathElement,
    RGBColor, SVGBackend, WHITE,
};
use plotters::style::BLACK;
use scale::simulate::Moment;

use crate::cli::Failure;

const SIZE: (u32, u32) = (960, 280);
/// A line has about so many points: more than that are not seen.
const POINTS: usize = 480;

const DEMAND: RGBColor = RGBColor(0x88, 0x88, 0x88);
const READY: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const DESIRED: RGBColor = RGBColor(0xff, 0x7f, 0x0e);
const BAD: RGBColor = RGBColor(0xd6, 0x27, 0x28);

/// One point of the picture: of several seconds the worst.
struct Point {
    at_min: f64,
    demand: f64,
    ready: f64,
    desired: f64,
    is_bad: bool,
}

/// Draws it.
///
/// # Errors
/// When the picture cannot be made, which would be a fault of this program.
pub(super) fn svg(course: &[Moment]) -> Result<String, Failure> {
    let mut svg = String::new();
    draw(&mut svg, &points(course))
        .map_err(|error| Failure::new(format!("could not draw a plot: {error}")))?;
    Ok(svg)
}

fn points(course: &[Moment]) -> Vec<Point> {
    let each = course.len().div_ceil(POINTS).max(1);
    let point = |(index, some): (usize, &[Moment])| {
        let most = |of: fn(&Moment) -> f64| some.iter().map(of).fold(0.0, f64::max);
        let sum = |of: fn(&Moment) -> u64| some.iter().map(of).sum::<u64>() as f64;
        Point {
            at_min: (index * each) as f64 / 60.0,
            demand: most(|it| it.demand),
            ready: some.first().map_or(0.0, |it| f64::from(it.ready)),
            desired: some.first().map_or(0.0, |it| f64::from(it.desired)),
            is_bad: sum(|it| it.bad) > 0.05 * sum(|it| it.arrivals).max(1.0),
        }
    };
    course.chunks(each).enumerate().map(point).collect()
}

fn draw(svg: &mut String, points: &[Point]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let until = points.last().map_or(1.0, |point| point.at_min).max(1.0);
    let top = points
        .iter()
        .map(|point| point.demand.max(point.ready).max(point.desired))
        .fold(1.0, f64::max);
    let font = ("sans-serif", 13).into_font();
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(32)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..until, 0.0..top * 1.05)?;
    chart
        .configure_mesh()
        .light_line_style(BLACK.mix(0.04))
        .x_desc("minutes")
        .y_desc("instances")
        .label_style(font.clone())
        .axis_desc_style(font.clone())
        .draw()?;
    let mut line = |name: &str, colour: RGBColor, of: fn(&Point) -> f64| {
        let line = points.iter().map(|point| (point.at_min, of(point)));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(2))).map(|series| {
            series.label(name).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
            });
        })
    };
    line("demand", DEMAND, |point| point.demand)?;
    line("ready", READY, |point| point.ready)?;
    line("desired", DESIRED, |point| point.desired)?;
    // Where clients suffer, at the bottom.
    for bad in points.chunk_by(|a, b| a.is_bad == b.is_bad).filter(|some| some[0].is_bad) {
        let (from, to) = (bad[0].at_min, bad[bad.len() - 1].at_min);
        let mark = [(from, 0.0), (to.max(from + until / 480.0), 0.0)];
        chart.draw_series([PathElement::new(mark, BAD.stroke_width(8))])?;
    }
    chart.configure_series_labels().label_font(font).background_style(WHITE.mix(0.8)).draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}
