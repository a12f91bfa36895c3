//! What becomes of tokens, and of hidden states.

use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor};

use super::gradients::Gradients;
use super::packed::PassContext;
use super::{NetworkConfig, Parameters, ops};
use crate::model::architecture::{ArrayId, Output, Positions};
use crate::model::dropout::EMBEDDING_SITE;

/// The embeddings, and the map to logits.
pub(super) struct Embedding {
    pub(super) tokens: Tensor<2>,
    /// What the tokens' rows are multiplied by.
    scale: f64,
    positions: Option<Tensor<2>>,
    /// `None` where it is the tokens'.
    output: Option<Tensor<2>>,
    pub(super) logit_cap: Option<f64>,
}

/// What was embedded.
pub(super) struct EmbeddingTape {
    tokens: Tensor<1, Int>,
    positions: Tensor<1, Int>,
}

impl Embedding {
    pub(super) fn new(parameters: &Parameters, config: NetworkConfig<'_>) -> Self {
        let matrix = |id| parameters.matrix(id).cast(config.dtype);
        let architecture = config.architecture;
        Self {
            tokens: matrix(ArrayId::TOKEN_EMBEDDING),
            scale: architecture.embedding_scale,
            positions: match architecture.positions {
                Positions::Rotary => None,
                Positions::Learned => Some(matrix(ArrayId::POSITION_EMBEDDING)),
            },
            output: match architecture.output {
                Output::Tied => None,
                Output::Separate => Some(matrix(ArrayId::OUTPUT)),
            },
            logit_cap: architecture.logit_cap,
        }
    }

    pub(super) fn device(&self) -> Device {
        self.tokens.device()
    }

    /// What goes into the first block, f32.
    ///
    /// # Shapes
    /// `tokens` `[rows]`; to `[rows, width]`.
    pub(super) fn embed(
        &self,
        tokens: &[u32],
        context: &PassContext<'_>,
    ) -> (Tensor<2>, EmbeddingTape) {
        let device = self.device();
        let tape = EmbeddingTape {
            tokens: ops::indices(tokens.iter().map(|token| *token as usize), &device),
            positions: ops::indices(context.positions(), &device),
        };
        let x = self.look_up(tape.tokens.clone(), &tape.positions);
        (context.drop_out(x, EMBEDDING_SITE), tape)
    }

    /// The gradients of the embeddings go to `gradients`.
    ///
    /// # Shapes
    /// `upstream` `[rows, width]`, f32.
    pub(super) fn backward(
        &self,
        tape: EmbeddingTape,
        upstream: Tensor<2>,
        context: &PassContext<'_>,
        gradients: &mut Gradients,
    ) {
        let upstream = context.drop_out(upstream, EMBEDDING_SITE);
        let sums = |table: &Tensor<2>, rows, upstream| {
            let zeros = Tensor::<2>::zeros(table.dims(), (&table.device(), DType::F32));
            zeros.select_assign(0, rows, upstream, IndexingUpdateOp::Add)
        };
        if let Some(table) = &self.positions
            && gradients.wants(ArrayId::POSITION_EMBEDDING)
        {
            let sums = sums(table, tape.positions, upstream.clone());
            gradients.add(ArrayId::POSITION_EMBEDDING, sums);
        }
        if gradients.wants(ArrayId::TOKEN_EMBEDDING) {
            let sums = sums(&self.tokens, tape.tokens, self.scaled(upstream));
            gradients.add(ArrayId::TOKEN_EMBEDDING, sums);
        }
    }

    /// The embeddings of tokens at these positions, f32.
    ///
    /// # Shapes
    /// `tokens` and `positions` `[rows]`; to `[rows, width]`.
    pub(super) fn look_up(&self, tokens: Tensor<1, Int>, positions: &Tensor<1, Int>) -> Tensor<2> {
        let x = self.scaled(ops::single(self.tokens.clone().select(0, tokens)));
        match &self.positions {
            None => x,
            Some(table) => x + ops::single(table.clone().select(0, positions.clone())),
        }
    }

    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    fn scaled(&self, x: Tensor<2>) -> Tensor<2> {
        #[expect(clippy::float_cmp, reason = "what families without a scale have")]
        if self.scale == 1.0 {
            return x;
        }
        x * self.scale
    }

    /// What hidden states are multiplied by, transposed, and which array that is.
    ///
    /// # Shapes
    /// To `[vocabulary, width]`.
    pub(super) fn output(&self) -> (&Tensor<2>, ArrayId) {
        match &self.output {
            None => (&self.tokens, ArrayId::TOKEN_EMBEDDING),
            Some(output) => (output, ArrayId::OUTPUT),
        }
    }

    /// Logits, f32, of rows of hidden states.
    ///
    /// # Shapes
    /// `hidden` `[rows, width]`; to `[rows, vocabulary]`.
    pub(super) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let (output, _) = self.output();
        let output = output.clone().transpose();
        let logits = ops::single(hidden.cast(output.dtype()).matmul(output));
        match self.logit_cap {
            None => logits,
            Some(cap) => (logits / cap).tanh() * cap,
        }
    }
}
