"""A BERT-like encoder with an attention mask is cut down in depth and width, with a head and without."""

import pytest
import torch
from paretune.backends.registry import get_backend
from paretune.search.stages.cutting.derive import find_derivation
from paretune.search.stages.models.export import export
from torch import nn


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.num_heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, 96), nn.Linear(96, width)
        self.norm, self.last_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, bias):
        batch, steps, _ = x.shape
        query, key, value = (
            project(x).view(batch, steps, self.num_heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias).softmax(-1)
        x = self.norm(x + self.out((weights @ value).transpose(1, 2).flatten(2)))
        return self.last_norm(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.tokens, self.positions, self.kinds = (
            nn.Embedding(50, 32),
            nn.Embedding(16, 32),
            nn.Embedding(2, 32),
        )
        self.norm = nn.LayerNorm(32)
        self.register_buffer("ids", torch.arange(16)[None])
        self.layers = nn.ModuleList(Layer(32, 4) for _ in range(2))
        self.head = nn.Linear(32, 3) if head else None

    def forward(self, input_ids, attention_mask):
        kinds = self.kinds(torch.zeros_like(input_ids))
        x = self.norm(self.tokens(input_ids) + self.positions(self.ids[:, : input_ids.shape[1]]) + kinds)
        bias = (1.0 - attention_mask[:, None, None, :].float()) * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        kept = attention_mask[:, :, None].float()
        pooled = (x * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(pooled, dim=-1) if self.head is None else self.head(pooled)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "depth", "macs"), [(True, 1.0, 0.5), (False, 0.5, 0.25)])
def test_an_encoder_is_cut_down_and_keeps_to_its_mask(head, depth, macs, tmp_path):
    torch.manual_seed(0)
    tokens, mask = torch.randint(1, 50, (4, 12)), torch.ones(4, 12, dtype=torch.long)
    mask[1:, 7:] = 0
    model = Encoder(head).eval()
    found = find_derivation(model, depth, macs, [tokens[:2], mask[:2]])
    assert found.macs / found.teacher_macs == pytest.approx(macs, rel=0.15)
    student = found.apply(model, [tokens[:2], mask[:2]])
    assert len(student.layers) == round(2 * depth)
    outputs = student(tokens, mask)
    assert outputs.shape == (4, 3 if head else 32)
    other = torch.where(mask > 0, tokens, 7)  # what is padding does not count
    torch.testing.assert_close(student(other, mask), outputs)
    outputs.square().sum().backward()
    data = {"input_ids": tokens.numpy(), "attention_mask": mask.numpy()}
    export(student, data, get_backend("ort"), 1, tmp_path)
