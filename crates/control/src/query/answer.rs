//! The answer of Prometheus' HTTP API to an instant query, read as one number.
//! It asks nobody, and what is not one number is refused with the reason.

use serde_json::Value;

/// Characters that are kept of what an answer complains about.
const COMPLAINT_MAX: usize = 200;

/// The value of a scalar, or of a vector of one.
///
/// # Errors
/// Why it is not one number, as the end of a sentence that begins with who answered.
pub(super) fn read(body: &[u8]) -> Result<f64, String> {
    let none = || "said what is no answer of Prometheus".to_owned();
    let answer: Value = serde_json::from_slice(body).map_err(|_| none())?;
    if answer["status"] != "success" {
        let complaint = answer["error"].as_str().ok_or_else(none)?;
        let complaint: String = complaint.chars().take(COMPLAINT_MAX).collect();
        return Err(format!("said: {complaint}"));
    }
    let result = &answer["data"]["result"];
    let sample = match answer["data"]["resultType"].as_str() {
        Some("scalar") => result,
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"],
            Some([]) => return Err("has nothing that the query asks for".to_owned()),
            Some(many) => {
                let count = many.len();
                return Err(format!("said {count} numbers, not one; write sum() around the query"));
            }
            None => return Err(none()),
        },
        Some(other) => return Err(format!("said a {other}, not one number")),
        None => return Err(none()),
    };
    let text = sample[1].as_str().ok_or_else(none)?;
    let value: f64 = text.parse().map_err(|_| none())?;
    value.is_finite().then_some(value).ok_or_else(|| format!("said {text}, which is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: Result<f64, &str>) {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        assert_eq!(read(body.as_bytes()), expected.map_err(str::to_owned), "{data}");
    }

    #[test]
    fn one_number_and_nothing_else() {
        let none = "said what is no answer of Prometheus";
        check(r#"{"resultType":"scalar","result":[1435781451.781,"1"]}"#, Ok(1.0));
        let vector = |result: &str| format!(r#"{{"resultType":"vector","result":[{result}]}}"#);
        let one = r#"{"metric":{"job":"a"},"value":[1435781451.781,"-2.5e3"]}"#;
        check(&vector(one), Ok(-2500.0));
        check(&vector(""), Err("has nothing that the query asks for"));
        let several = "said 2 numbers, not one; write sum() around the query";
        check(&vector(&format!("{one},{one}")), Err(several));
        check(r#"{"resultType":"matrix","result":[]}"#, Err("said a matrix, not one number"));
        for text in ["NaN", "+Inf", "-Inf"] {
            let data = format!(r#"{{"resultType":"scalar","result":[1,"{text}"]}}"#);
            check(&data, Err(&format!("said {text}, which is no number")));
        }
        for odd in ["{}", "[]", "7", r#"{"resultType":"scalar","result":[1,2]}"#] {
            check(odd, Err(none));
        }
        for odd in ["", "{", "[]", "\u{0}", r#"{"status":"error"}"#] {
            assert_eq!(read(odd.as_bytes()).unwrap_err(), none, "{odd}");
        }
    }
}
