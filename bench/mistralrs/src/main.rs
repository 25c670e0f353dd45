//! mistralrs-peer: mistral.rs under measurement, as bench/driver.c is this library. Reads a command a line, answers
//! with a JSON line, so that the benchmarks can interleave their runs. The loaders and their settings are those of
//! the crate's builders, but for the end of a text: none ends before its number of tokens.
//!
//!     mistralrs-peer MODEL [--dtype auto|f32|f16] [--adapter ID] [--first]
//!
//! MODEL: a checkpoint's directory, or a GGUF file. --adapter: a LoRA in the Hugging Face cache, which mistral.rs
//! merges into a checkpoint's weights while it loads: requests cannot choose. --first: one token of a short
//! prompt, then the end.
//!
//!     prefill P        the prompt's time: P tokens, in ms, and the tokens a second
//!     decode T         one stream's decode speed over T tokens
//!     generate N T P   N requests at once, T tokens each, prompts of P tokens

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use mistralrs::core::{
    AutoDeviceMapParams, DefaultSchedulerMethod, DeviceMapSetting, GGUFLoaderBuilder,
    GGUFSpecificConfig, Loader, MistralRs, MistralRsBuilder, ModelDType, NormalLoaderBuilder,
    NormalRequest, NormalSpecificConfig, Request, RequestMessage, Response, SamplingParams,
    SchedulerConfig, TokenSource, Usage,
};
use mistralrs::Device;
use tokio::sync::mpsc::{channel, Receiver};

const RUNNING: usize = 32; // sequences at once, the builders' default

struct Options {
    model: String,
    dtype: ModelDType,
    adapter: Option<String>,
    first: bool,
}

fn options() -> Result<Options> {
    let mut words = std::env::args().skip(1);
    let model = words
        .next()
        .context("usage: mistralrs-peer MODEL [--dtype D] [--adapter ID] [--first]")?;
    let mut o = Options {
        model,
        dtype: ModelDType::Auto,
        adapter: None,
        first: false,
    };

    while let Some(word) = words.next() {
        match word.as_str() {
            "--dtype" => {
                let name = words.next().context("--dtype wants a type")?;
                o.dtype = name.parse().map_err(anyhow::Error::msg)?;
            }
            "--adapter" => o.adapter = Some(words.next().context("--adapter wants an id")?),
            "--first" => o.first = true,
            _ => bail!("not understood: {word}"),
        }
    }
    Ok(o)
}

fn gguf_loader(path: &Path) -> Result<Box<dyn Loader>> {
    let folder = path
        .parent()
        .context("no folder")?
        .to_string_lossy()
        .into_owned();
    let name = path
        .file_name()
        .context("no file")?
        .to_string_lossy()
        .into_owned();
    let config = GGUFSpecificConfig { topology: None };

    Ok(GGUFLoaderBuilder::new(None, None, folder, vec![name], config, false, None).build())
}

fn checkpoint_loader(o: &Options) -> Result<Box<dyn Loader>> {
    let config = NormalSpecificConfig::default();
    let mut builder =
        NormalLoaderBuilder::new(config, None, None, Some(o.model.clone()), false, None);

    if let Some(id) = &o.adapter {
        builder = builder.with_lora(vec![id.clone()]);
    }
    builder.build(None)
}

async fn load(o: &Options) -> Result<Arc<MistralRs>> {
    let path = Path::new(&o.model);
    let loader = if path.is_dir() {
        checkpoint_loader(o)?
    } else {
        gguf_loader(path)?
    };
    let mapper = DeviceMapSetting::Auto(AutoDeviceMapParams::default_text());
    let pipeline = loader.load_model_from_hf(
        None,
        TokenSource::None,
        &o.dtype,
        &Device::Cpu,
        true,
        mapper,
        None,
        None,
    )?;
    let method = DefaultSchedulerMethod::Fixed(RUNNING.try_into()?);

    Ok(MistralRsBuilder::new(
        pipeline,
        SchedulerConfig::DefaultScheduler { method },
        false,
        None,
    )
    .with_no_prefix_cache(true)
    .with_disable_eos_stop(true)
    .build()
    .await)
}

/// Tokens of every vocabulary that is measured here, others from call to call.
fn prompt(n: usize, salt: &mut u32) -> Vec<u32> {
    *salt += 1;
    let mut x = salt.wrapping_mul(2654435761);

    (0..n)
        .map(|_| {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            1000 + (x >> 20)
        })
        .collect()
}

async fn start(runner: &MistralRs, prompt: Vec<u32>, tokens: usize) -> Result<Receiver<Response>> {
    let (sender, receiver) = channel(1);
    let mut sampling = SamplingParams::deterministic();

    sampling.max_len = Some(tokens);
    let request = NormalRequest::new_simple(
        RequestMessage::CompletionTokens(prompt),
        sampling,
        sender,
        runner.next_request_id(),
        None,
        None,
    );
    let engine = runner.get_sender(None)?;
    engine
        .send(Request::Normal(Box::new(request)))
        .await
        .ok()
        .context("the engine has ended")?;
    Ok(receiver)
}

async fn finish(mut receiver: Receiver<Response>, tokens: usize) -> Result<Usage> {
    match receiver.recv().await.context("no answer")? {
        Response::CompletionDone(done) if done.usage.completion_tokens == tokens => Ok(done.usage),
        Response::CompletionDone(done) => {
            bail!("{} tokens, not {tokens}", done.usage.completion_tokens)
        }
        Response::CompletionModelError(text, _) => bail!("{text}"),
        Response::InternalError(e) | Response::ValidationError(e) => bail!("{e}"),
        _ => bail!("an answer of another kind"),
    }
}

async fn generate(
    runner: &MistralRs,
    n: usize,
    tokens: usize,
    length: usize,
    salt: &mut u32,
) -> Result<f64> {
    let begin = Instant::now();
    let mut receivers = Vec::new();

    for _ in 0..n {
        receivers.push(start(runner, prompt(length, salt), tokens).await?);
    }
    for receiver in receivers {
        finish(receiver, tokens).await?;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// What the prompt takes, one token out, is not decoding.
async fn decode(runner: &MistralRs, tokens: usize, salt: &mut u32) -> Result<f64> {
    let first = generate(runner, 1, 1, 2, salt).await?;

    Ok(tokens as f64 / (generate(runner, 1, tokens + 1, 2, salt).await? - first))
}

async fn answer(runner: &MistralRs, line: &str, salt: &mut u32) -> Result<String> {
    let mut words = line.split_whitespace();
    let command = words.next().unwrap_or("");
    let numbers = words
        .map(|word| word.parse())
        .collect::<Result<Vec<usize>, _>>()?;

    match (command, numbers.as_slice()) {
        ("prefill", &[length]) => {
            let seconds = generate(runner, 1, 1, length, salt).await?;
            let speed = length as f64 / seconds;
            Ok(format!(
                "{{\"ms\":{:.3},\"tokens_per_second\":{speed:.3}}}",
                seconds * 1e3
            ))
        }
        ("decode", &[tokens]) => Ok(format!(
            "{{\"tokens_per_second\":{:.3}}}",
            decode(runner, tokens, salt).await?
        )),
        ("generate", &[n, tokens, length]) => {
            let seconds = generate(runner, n, tokens, length, salt).await?;
            Ok(format!(
                "{{\"tokens\":{},\"seconds\":{seconds:.6}}}",
                n * tokens
            ))
        }
        _ => bail!("not understood: {line}"),
    }
}

async fn run() -> Result<()> {
    let o = options()?;
    let runner = load(&o).await?;
    let mut salt = 0;

    if o.first {
        generate(&runner, 1, 1, 6, &mut salt).await?;
        return Ok(());
    }
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&runner, &line?, &mut salt).await?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run());

    if let Err(e) = &result {
        eprintln!("mistralrs-peer: {e:#}");
    }
    // Its engine's thread would be waited for.
    std::process::exit(result.is_err() as i32)
}
