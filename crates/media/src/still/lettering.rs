//! Text on pictures, and pictures on sheets.

use impasto_domain::{Error, Result, Value, Values, Workbench};

use crate::arguments::{Arguments, output};
use crate::resize::{check_size, scaled};
use crate::{Picture, color, text};

/// `draw-text`.
pub(super) fn draw_text(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let mut picture = input.picture("image", bench)?;
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let position = input.text("position", "bottom");
    let shadow = input.get("shadow").and_then(Value::as_boolean).unwrap_or(true);
    let margin = 0.055 * width.min(height).max(1.0);
    let style = text::Style {
        size_px: input.number_or("size", 0.06) * height,
        color: color::parse(input.text("color", "#ffffff"))?,
        shadow: if shadow { 0.7 } else { 0.0 },
        max_width_px: Some(width - 2.0 * margin),
        align: match position {
            "top-left" | "bottom-left" => text::Align::Left,
            "top-right" | "bottom-right" => text::Align::Right,
            _ => text::Align::Centre,
        },
        ..text::Style::default()
    };
    let words = input.text("text", "");
    let extent = text::measure(words, &style);
    let x = match style.align {
        text::Align::Left => margin,
        text::Align::Centre => (width - extent.width_px) / 2.0,
        text::Align::Right => width - margin - extent.width_px,
    };
    let y = match position.split('-').next() {
        Some("top") => margin,
        Some("centre") => (height - extent.height_px) / 2.0,
        _ => height - margin - extent.height_px,
    };
    text::draw(&mut picture, words, (x, y), &style);
    Ok(output([("image", picture.write(bench)?.into())]))
}

/// The look of a sheet.
const GROUND: [u8; 4] = [24, 24, 27, 255];
const INK: [u8; 4] = [244, 244, 245, 255];
const QUIET_INK: [u8; 4] = [161, 161, 170, 255];
const ACCENT: [u8; 4] = [250, 176, 62, 255];

/// `contact-sheet`.
pub(super) fn contact_sheet(input: &Values, bench: &dyn Workbench) -> Result<Values> {
    let cell_width = input.count("cell_width").unwrap_or(320).clamp(64, 1024);
    let images = input.get("images").and_then(Value::as_list).unwrap_or_default();
    let mut pictures = Vec::with_capacity(images.len());
    for (place, image) in images.iter().enumerate() {
        bench.check_cancelled()?;
        bench.progress(0.8 * place as f64 / images.len() as f64, "reading pictures");
        let asset = image
            .as_asset()
            .ok_or_else(|| Error::invalid(format!("`images[{place}]` is not a picture")))?;
        let picture = Picture::read(bench, asset)
            .map_err(|error| error.context(format!("`images[{place}]`")))?;
        let scale = f64::from(cell_width) / f64::from(picture.width());
        // A very tall picture would make its whole row tall.
        let scale = scale.min(1.5 * f64::from(cell_width) / f64::from(picture.height()));
        pictures.push(
            picture.resized(scaled(picture.width(), scale), scaled(picture.height(), scale))?,
        );
    }
    if pictures.is_empty() {
        return Err(Error::invalid("`images` has no picture").hint("give at least one"));
    }
    let texts = |name: &str| -> Vec<String> {
        let list = input.get(name).and_then(Value::as_list).unwrap_or_default();
        list.iter()
            .map(|label| label.as_text().unwrap_or_default().chars().take(160).collect())
            .collect()
    };
    let marked = input.get("marked").and_then(Value::as_list).unwrap_or_default();
    let sheet = Sheet {
        labels: texts("labels"),
        marked: marked
            .iter()
            .filter_map(Value::as_integer)
            .filter_map(|at| usize::try_from(at).ok())
            .collect(),
        title: input.text("title", ""),
        columns: input
            .count("columns")
            .map_or_else(|| good_columns(&pictures), |columns| columns as usize),
        cell_width,
        pictures,
    };
    Ok(output([("image", sheet.render()?.write(bench)?.into())]))
}

/// The number of columns that makes the sheet nearest to 3:2.
fn good_columns(pictures: &[Picture]) -> usize {
    let shape = |columns: usize| {
        let rows = pictures.len().div_ceil(columns);
        let cell_height = pictures
            .iter()
            .map(|p| f64::from(p.height()) / f64::from(p.width()))
            .fold(0.0, f64::max);
        let empty = (columns * rows - pictures.len()) as f64 / pictures.len() as f64;
        (columns as f64 / (rows as f64 * (cell_height + 0.12)) / 1.5).ln().abs() + 0.6 * empty
    };
    (1..=pictures.len().min(16)).min_by(|a, b| shape(*a).total_cmp(&shape(*b))).unwrap_or(1)
}

struct Sheet<'a> {
    pictures: Vec<Picture>,
    labels: Vec<String>,
    marked: Vec<usize>,
    title: &'a str,
    columns: usize,
    cell_width: u32,
}

impl Sheet<'_> {
    fn gap(&self) -> u32 {
        (self.cell_width / 14).max(10)
    }

    fn label_style(&self, chosen: bool) -> text::Style {
        text::Style {
            size_px: (self.cell_width as f32 * 0.052).max(11.0),
            color: if chosen { ACCENT } else { QUIET_INK },
            max_width_px: Some(self.cell_width as f32),
            align: text::Align::Left,
            ..text::Style::default()
        }
    }

    fn title_style(&self, width: u32) -> text::Style {
        text::Style {
            size_px: (self.cell_width as f32 * 0.1).max(18.0),
            color: INK,
            max_width_px: Some((width - 2 * self.gap()) as f32),
            align: text::Align::Left,
            ..text::Style::default()
        }
    }

    fn label(&self, place: usize) -> &str {
        self.labels.get(place).map_or("", String::as_str)
    }

    fn render(&self) -> Result<Picture> {
        let (gap, columns) = (self.gap(), self.columns.clamp(1, self.pictures.len()) as u32);
        let width = gap + columns * (self.cell_width + gap);
        let title_style = self.title_style(width);
        let title_height = if self.title.is_empty() {
            0
        } else {
            text::measure(self.title, &title_style).height_px as u32 + gap
        };
        let rows: Vec<Row> = (0..self.pictures.len())
            .step_by(columns as usize)
            .map(|first| self.row(first))
            .collect();
        let height =
            gap + title_height + rows.iter().map(|row| row.picture + row.label + gap).sum::<u32>();
        check_size(width, height)?;
        let mut sheet = Picture::filled(width, height, GROUND);
        text::draw(&mut sheet, self.title, (gap as f32, gap as f32 * 0.7), &title_style);
        let mut top = gap + title_height;
        for (number, row) in rows.iter().enumerate() {
            for column in 0..columns {
                let place = number * columns as usize + column as usize;
                let left = gap + column * (self.cell_width + gap);
                if let Some(picture) = self.pictures.get(place) {
                    self.draw_cell(&mut sheet, picture, place, (left, top, row.picture));
                }
            }
            top += row.picture + row.label + gap;
        }
        Ok(sheet)
    }

    fn row(&self, first: usize) -> Row {
        let last = (first + self.columns.max(1)).min(self.pictures.len());
        let tallest = self.pictures[first..last].iter().map(Picture::height).max().unwrap_or(1);
        let label = (first..last)
            .map(|place| self.label(place))
            .filter(|label| !label.is_empty())
            .map(|label| {
                text::measure(label, &self.label_style(false)).height_px.ceil() as u32
                    + self.gap() / 2
            })
            .max();
        Row { picture: tallest, label: label.unwrap_or(0) }
    }

    fn draw_cell(
        &self,
        sheet: &mut Picture,
        picture: &Picture,
        place: usize,
        (left, top, room): (u32, u32, u32),
    ) {
        let chosen = self.marked.contains(&place);
        let x = left + (self.cell_width - picture.width().min(self.cell_width)) / 2;
        let y = top + room.saturating_sub(picture.height()) / 2;
        if chosen {
            let border = (self.cell_width / 64).max(3);
            let (width, height) = (picture.width() + 2 * border, picture.height() + 2 * border);
            let frame = Picture::filled(width, height, ACCENT);
            image::imageops::replace(
                &mut sheet.pixels,
                &frame.pixels,
                i64::from(x) - i64::from(border),
                i64::from(y) - i64::from(border),
            );
        }
        image::imageops::replace(
            &mut sheet.pixels,
            &checkered(picture).pixels,
            i64::from(x),
            i64::from(y),
        );
        let at = (left as f32, (top + room + self.gap() / 3) as f32);
        text::draw(sheet, self.label(place), at, &self.label_style(chosen));
    }
}

struct Row {
    picture: u32,
    label: u32,
}

/// The picture, with a quiet checkerboard where it is transparent.
fn checkered(picture: &Picture) -> Picture {
    const SQUARE_PX: u32 = 10;
    if !picture.has_alpha() {
        return picture.clone();
    }
    let mut board = Picture::from_fn(picture.width(), picture.height(), |x, y| {
        let light = (x / SQUARE_PX + y / SQUARE_PX).is_multiple_of(2);
        if light { [200, 200, 200, 255] } else { [230, 230, 230, 255] }
    });
    image::imageops::overlay(&mut board.pixels, &picture.pixels, 0, 0);
    board
}
