//! Numbers by chance, of the distributions that a made-up service needs.
//! The generator is an argument.

/// A number of the standard normal distribution, by Box and Muller.
pub(super) fn normal(rng: &mut fastrand::Rng) -> f64 {
    let (a, b) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// How many of many independent things happen, if so many do on average: Knuth's product of
/// uniform numbers, in parts for which e to that power is still a number.
pub(super) fn poisson(mean: f64, rng: &mut fastrand::Rng) -> u64 {
    const PART: f64 = 500.0;
    let (mut left, mut count) = (mean.max(0.0), 0);
    while left > 0.0 {
        let floor = (-left.min(PART)).exp();
        let mut product = rng.f64();
        while product > floor {
            product *= rng.f64();
            count += 1;
        }
        left -= PART;
    }
    count
}

/// So many numbers in equal steps of probability of the log-normal distribution of this spread,
/// with 1 as their mean.
pub(super) fn log_normal(sigma: f64, count: usize) -> Vec<f64> {
    let middle = |index: usize| (index as f64 + 0.5) / count as f64;
    let mut all: Vec<f64> =
        (0..count).map(|index| (sigma * normal_quantile(middle(index))).exp()).collect();
    let mean = all.iter().sum::<f64>() / count as f64;
    all.iter_mut().for_each(|one| *one /= mean);
    all
}

/// The quantile of the standard normal distribution, by halving: it is asked a few thousand times.
fn normal_quantile(part: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if normal_part(middle) < part { low = middle } else { high = middle }
    }
    low
}

/// The part of the standard normal distribution below `z`, to 7 digits: Abramowitz and Stegun,
/// 26.2.17.
fn normal_part(z: f64) -> f64 {
    const B: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let sum = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = sum * (-z * z / 2.0).exp() / (std::f64::consts::TAU).sqrt();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_quantiles_are_those_of_the_books() {
        let near = |is: f64, expected: f64, by: f64| {
            assert!((is - expected).abs() < by, "{is} instead of {expected}");
        };
        near(normal_quantile(0.975), 1.959_964, 1e-4);
        near(normal_quantile(0.1), -1.281_552, 1e-4);
        let times = log_normal(0.5, 4096);
        near(times.iter().sum::<f64>() / 4096.0, 1.0, 1e-9);
        // The median is e^(-0.5²/2) of the mean.
        near(times[2048], (-0.125_f64).exp(), 1e-3);
        let mut rng = fastrand::Rng::with_seed(5);
        for mean in [0.0, 0.3, 20.0, 1234.0] {
            let sum: u64 = (0..2000).map(|_| poisson(mean, &mut rng)).sum();
            near(sum as f64 / 2000.0, mean, 0.1 * mean.sqrt() + 1e-9);
        }
        assert_eq!(poisson(0.0, &mut rng), 0);
    }
}
